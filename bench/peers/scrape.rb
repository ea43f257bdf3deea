# Scrapes what so many processes have counted with GitLab's prometheus-client-mmap: SHAPE PROCESSES ROUNDS DIR. It prints
# the nanoseconds of each scrape.
require "prometheus/client"
require "prometheus/client/formats/text"

shape, processes, rounds, directory = ARGV[0], ARGV[1].to_i, ARGV[2].to_i, ARGV[3]
Prometheus::Client.configure { |config| config.multiprocess_files_dir = directory }

def count(shape)
  if shape == "counters"
    c = Prometheus::Client.registry.counter(:requests_total, "Requests.")
    1000.times { |i| c.increment(path: "/path/#{i}") }
  else
    h = Prometheus::Client.registry.histogram(:duration_seconds, "Durations.", {}, (0...10).map { |n| 0.001 * 2**n })
    100.times { |i| h.observe({ path: "/path/#{i}" }, i / 1000.0) }
  end
end

ready, said = IO.pipe
hold, let_go = IO.pipe
children = Array.new(processes) do
  fork do
    let_go.close
    Prometheus::Client.reinitialize_on_pid_change(force: true)
    count(shape)
    said.write(".")
    said.flush
    hold.read(1) # until the parent ends
    exit!(0)
  end
end
hold.close
seen = 0
seen += ready.readpartial(processes).length while seen < processes

Prometheus::Client::Formats::Text.marshal_multiprocess(directory)
text = nil
rounds.times do
  begin_at = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
  text = Prometheus::Client::Formats::Text.marshal_multiprocess(directory)
  puts Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond) - begin_at
end
want = shape == "counters" ? /^requests_total\{path="\/path\/7"\} #{processes}(\.0)?$/ : /^duration_seconds_count\{path="\/path\/7"\} #{processes}(\.0)?$/
raise text[0, 2000] unless text.match?(want)
let_go.close
children.each { |pid| Process.wait(pid) }
