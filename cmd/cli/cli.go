package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/headlessly/headlessly/cmd/gateway"
)

// Version is the gateway's version.
const Version = gateway.Version

// IO is what a command reads and writes.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
}

// terminal gives the width of w where it is a terminal, else 0.
func terminal(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}

// Exit codes.
const (
	exitFault = 1
	exitUsage = 2
)

// usageError is a call that was wrong, as against work that failed.
type usageError struct{ error }

// Run executes the command line and gives its exit code.
func Run(ctx context.Context, args []string, stdio IO) int {
	root := &cobra.Command{
		Use:           "headlessly",
		Short:         "Collect browser and server events, forward them, keep them in Iceberg, ask SQL.",
		Long:          long,
		Version:       Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		ValidArgsFunction: func(_ *cobra.Command, a []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(a) > 0 || typed != "" {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return typeNames(), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		},
		RunE: unknown,
	}
	root.SetArgs(args)
	root.SetIn(stdio.In)
	root.SetOut(stdio.Out)
	root.SetErr(stdio.Err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nSee: %s --help", err, c.CommandPath())}
	})
	//nolint:contextcheck // commands get theirs when they run
	root.AddCommand(
		serveCommand(stdio),
		sqlCommand(stdio),
		sinksCommand(stdio),
		configCommand(stdio),
		statusCommand(stdio),
		loginCommand(stdio),
		initCommand(stdio),
		doctorCommand(stdio),
		searchCommand(stdio),
		fetchCommand(stdio),
		doCommand(stdio),
		tailCommand(stdio),
		deliveriesCommand(stdio),
		replayCommand(stdio),
		importCommand(stdio),
		traceCommand(stdio),
		lakeCommand(stdio),
		forgetCommand(stdio),
		logCommand(stdio),
		graphCommand(stdio),
		webhookCommand(stdio),
		sealCommand(stdio),
		sandboxCommand(stdio),
		mcpCommand(stdio),
	)
	err := execute(ctx, root, args, stdio)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		_, _ = fmt.Fprintln(stdio.Err, "headlessly:", err)
		return exitUsage
	default:
		_, _ = fmt.Fprintln(stdio.Err, "headlessly:", err)
		return exitFault
	}
}

// execute runs a call on the entity graph (Type.verb) or one of the commands.
func execute(ctx context.Context, root *cobra.Command, args []string, stdio IO) error {
	if at, ok := entityCall(args); ok {
		return runEntity(ctx, args, at, stdio)
	}
	if line, described, ok := completionCall(args); ok {
		return completeEntity(line, described, stdio.Out)
	}
	return root.ExecuteContext(ctx)
}

const long = `headlessly is a browser-SDK event collector and forwarding gateway in one binary.

It serves a browser script, takes events from it and from servers, answers only
when they are on disk, forwards them to Google Analytics, Sentry and PostHog, and
keeps its own copy in Apache Iceberg tables that SQL can be asked of.

Everything of the entity graph is called Type.verb:
  headlessly Integration.connect --provider stripe --apiKey env:STRIPE_KEY
  headlessly Integration.find --status Active
  headlessly Contact.update contact_… --stage Customer
  headlessly Contact.create --help`

// unknown answers a word that is no command.
func unknown(c *cobra.Command, a []string) error {
	if len(a) == 0 {
		return c.Help()
	}
	meant := ""
	if near := c.SuggestionsFor(a[0]); len(near) > 0 {
		meant = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{fmt.Errorf("unknown command %q%s\nSee: headlessly --help", a[0], meant)}
}

// args wraps cobra's argument checks so that they count as a wrong call.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, a []string) error {
		if err := check(c, a); err != nil {
			return usageError{fmt.Errorf("%w\nSee: %s --help", err, c.CommandPath())}
		}
		return nil
	}
}

// one wants at least one argument, and says what it is where there is none.
func one(missing string, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, a []string) error {
		if len(a) == 0 {
			return usageError{errors.New(missing)}
		}
		return args(cobra.MaximumNArgs(most))(c, a)
	}
}
