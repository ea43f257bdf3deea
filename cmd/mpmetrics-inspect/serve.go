package main

import (
	"strings"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/cmd/mpmetrics-inspect/serve"
)

func (e *environment) serve() *cobra.Command {
	var o serve.Opts
	var addresses []string
	var systemd bool
	var config string
	var level, format string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the metrics of the directory, and a status page: the sidecar",
		Long: `Serve the metrics of the directory, and a status page: the sidecar of processes that
have no HTTP server. The sidecar serves the counts of processes even after they were
killed. Dead processes are absorbed in the background.

The sidecar has no own metrics. The sidecar may start before the directory exists, and
goes on after its removal. No process depends on the sidecar: any process that counts
in the directory can be scraped instead.

  /metrics      text, OpenMetrics or protobuf, as the scraper asks for
  /             the content of the directory: processes, families, archive, problems
  /-/healthy    the sidecar runs
  /-/ready      the sidecar has read the directory`,
		Example: "  mpmetrics-inspect serve --dir /run/shop\n  mpmetrics-inspect serve --web.listen-address :9897 --web.config.file web.yml",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := e.location()
			if err != nil {
				return err
			}
			logLevel, logFormat := promslog.NewLevel(), promslog.NewFormat()
			if err := logLevel.Set(level); err != nil {
				return usagef("--log.level %s: %w", level, err)
			}
			if err := logFormat.Set(format); err != nil {
				return usagef("--log.format %s: %w", format, err)
			}
			if o.MaxRequests < 0 {
				return usagef("--web.max-requests %d: want 0 or more", o.MaxRequests)
			}
			if o.Interval < serve.MinInterval {
				return usagef("--web.interval %v: want %v or more", o.Interval, serve.MinInterval)
			}
			o.Dir, o.ArchiveDir, o.Access = dir, e.archiveDir, e.access
			o.Web = web.FlagConfig{WebListenAddresses: &addresses, WebSystemdSocket: &systemd, WebConfigFile: &config}
			o.Logger = promslog.New(&promslog.Config{Level: logLevel, Format: logFormat, Writer: e.stderr})
			return serve.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&addresses, "web.listen-address", []string{serve.DefaultAddress}, "where to listen; may be given again")
	f.StringVar(&o.TelemetryPath, "web.telemetry-path", "/metrics", "path of the metrics")
	f.StringVar(&config, "web.config.file", "", "file that configures TLS and basic auth, as exporter-toolkit describes it")
	f.BoolVar(&systemd, "web.systemd-socket", false, "use the sockets that systemd gives instead of addresses")
	f.IntVar(&o.MaxRequests, "web.max-requests", 40, "scrapes that are answered at once; 0: any number")
	f.DurationVar(&o.Interval, "web.interval", 2*time.Second, "how often the page looks at the directory")
	f.BoolVar(&o.NoAbsorption, "no-absorption", false, "leave dead processes to other absorbers")
	f.StringVar(&level, "log.level", "info", "log: "+strings.Join(promslog.LevelFlagOptions, ", "))
	f.StringVar(&format, "log.format", "logfmt", "log: "+strings.Join(promslog.FormatFlagOptions, ", "))
	return cmd
}
