package main

import (
	"context"
	"errors"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
)

func (e *environment) top() *cobra.Command {
	var flags rateFlags
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch processes and series on the full screen, by rate",
		Long: `Watch processes and series on the full screen, the fastest first. Without a terminal
it prints lines, as watch does.

  tab         processes, or series
  s, r        sort by the next column; turn the order round
  /           filter: only series that have the text in their name or labels count
  esc         no filter
  ↑ ↓ pgup pgdn home end   move
  p           pause
  q           quit`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			_, in := terminal(e.stdin)
			if _, out := terminal(e.stdout); !in || !out {
				e.format = tableFormat
				return e.lines(cmd.Context(), flags)
			}
			return e.screen(cmd.Context(), flags)
		},
	}
	flags.add(cmd)
	e.matchFlag(cmd)
	return cmd
}

// screen shows the full screen until the user quits.
func (e *environment) screen(ctx context.Context, flags rateFlags) error {
	meter, done, err := e.meter()
	if err != nil {
		return err
	}
	defer done()
	s := newScreen(meter, flags.interval, e.colors())
	_, err = tea.NewProgram(s, tea.WithContext(ctx), tea.WithInput(e.stdin), tea.WithOutput(raw(e.stdout))).Run()
	s.reading.Lock() // Close waits for the current reading
	if errors.Is(err, tea.ErrInterrupted) || ctx.Err() != nil {
		return nil
	}
	return err
}
