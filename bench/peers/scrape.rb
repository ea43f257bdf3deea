# Scrapes what so many processes have counted with GitLab's prometheus-client-mmap: SHAPE PROCESSES SERIES DEAD ROUNDS
# DIR. The dead had ten series each. It prints the nanoseconds of each scrape; of the shape "inc" those of an increment.
require "prometheus/client"
require "prometheus/client/formats/text"

shape, directory = ARGV[0], ARGV[5]
processes, series, dead, rounds = ARGV[1..4].map(&:to_i)
Prometheus::Client.configure { |config| config.multiprocess_files_dir = directory }

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)

if shape == "inc"
  c = Prometheus::Client.registry.counter(:requests_total, "Requests.")
  rounds.times do
    begin_at = now
    20_000.times { c.increment(path: "/path/7") }
    puts((now - begin_at) / 20_000.0)
  end
  exit
end

def count(shape, series)
  if shape == "counters"
    c = Prometheus::Client.registry.counter(:requests_total, "Requests.")
    series.times { |i| c.increment(path: "/path/#{i}") }
  else
    h = Prometheus::Client.registry.histogram(:duration_seconds, "Durations.", {}, (0...10).map { |n| 0.001 * 2**n })
    series.times { |i| h.observe({ path: "/path/#{i}" }, i / 1000.0) }
  end
end

dead.times do
  Process.wait(fork do
    Prometheus::Client.reinitialize_on_pid_change(force: true)
    count(shape, 10)
    exit!(0)
  end)
end
ready, said = IO.pipe
hold, let_go = IO.pipe
children = Array.new(processes) do
  fork do
    let_go.close
    Prometheus::Client.reinitialize_on_pid_change(force: true)
    count(shape, series)
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
  begin_at = now
  text = Prometheus::Client::Formats::Text.marshal_multiprocess(directory)
  puts now - begin_at
end
total = processes + dead
want = shape == "counters" ? /^requests_total\{path="\/path\/7"\} #{total}(\.0)?$/ : /^duration_seconds_count\{path="\/path\/7"\} #{total}(\.0)?$/
raise text[0, 2000] unless text.match?(want)
let_go.close
children.each { |pid| Process.wait(pid) }
