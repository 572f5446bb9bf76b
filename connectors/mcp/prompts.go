package mcp

import (
	"context"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// job is a prompt: a common job, with what is filled in.
type job struct {
	name, title string
	arguments   []*sdk.PromptArgument
	text        string // {name} stands for an argument
}

func argument(name, description string, required bool) *sdk.PromptArgument {
	return &sdk.PromptArgument{Name: name, Description: description, Required: required}
}

// jobs are the prompts.
func jobs() []job {
	return []job{
		{
			"connect-provider", "Connect a provider",
			[]*sdk.PromptArgument{argument("provider", "stripe, github, slack, webhook or analytics", true)},
			`Connect {provider} to this tenant. First search {"type":"Integration","filter":{"provider":"{provider}"}}: if one is Active, say so and stop. ` +
				`Otherwise fetch {"type":"Schema","id":"Integration"} for the arguments, ask me for the credential that is missing (never invent one, never repeat it), ` +
				"then do: await $.Integration.connect({ provider: '{provider}', … }). Report the status, and on an error its message and what I should do.",
		},
		{
			"health", "Check the health of everything", nil,
			`Check this tenant's health: fetch {"type":"Status"}, then search {"type":"Integration"}. Report in a few lines what works and what does not. ` +
				`For each integration that is Errored give its error, and what to do about it. For deliveries that are parked or dead say how many and where. Change nothing.`,
		},
		{
			"revenue-report", "Report revenue and churn",
			[]*sdk.PromptArgument{argument("period", "such as last month", false)},
			`Report revenue for {period}: fetch {"type":"Metric"} for the metrics that there are, then mrr, arr, churn_rate, nrr and ltv now and with asOf at the start of the period. ` +
				`Give figures per currency, the change between the two, and the subscriptions that were created and cancelled (do: await $.events({ type: 'Subscription.*', limit: 1000 })). Money is in minor units.`,
		},
		{
			"missing-event", "Find out why an event did not arrive",
			[]*sdk.PromptArgument{argument("event", "the event's name or id", true), argument("destination", "where it is missing", false)},
			"Find out why the event {event} did not arrive at {destination}. do: await $.sql`select * from events where event = '{event}' or message_id = '{event}' order by received_at desc limit 20`, " +
				"the rejected ones likewise from the table rejected, and its attempts from the table deliveries. fetch {\"type\":\"Status\"} for the destination's counters. Say which of these holds: it was never received, " +
				"it was refused (why), it was skipped by a rule or for consent, it is pending or parked (what the provider answered), or it was delivered.",
		},
		{
			"write-handler", "React to an event with a stored handler",
			[]*sdk.PromptArgument{argument("hook", "such as Subscription.cancelled or Deal.creating", true), argument("reaction", "what should happen", true)},
			"Write a stored handler for {hook} that does this: {reaction}. A handler is TypeScript, (entity, $, event) => …: before hooks (Deal.creating) may change the entity or throw to refuse it, after hooks (Deal.created) act. " +
				"Look at the types with fetch {\"type\":\"Schema\",\"id\":…}, show me the source, and after I agree do: await $.Handler.create({ name, hook: '{hook}', source }). Say how to disable it: await $.Handler.disable(id).",
		},
	}
}

// prompts offers the jobs.
func prompts(srv *sdk.Server) {
	for _, j := range jobs() {
		srv.AddPrompt(&sdk.Prompt{Name: j.name, Title: j.title, Description: j.title + ".", Arguments: j.arguments}, func(_ context.Context, r *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
			text, err := j.fill(r.Params.Arguments)
			if err != nil {
				return nil, err
			}
			return &sdk.GetPromptResult{Description: j.title, Messages: []*sdk.PromptMessage{{Role: "user", Content: &sdk.TextContent{Text: text}}}}, nil
		})
	}
}

// maxArgument bounds what is filled into a prompt.
const maxArgument = 2000

func (j *job) fill(given map[string]string) (string, error) {
	pairs := []string{}
	for _, a := range j.arguments {
		v := given[a.Name]
		switch {
		case v == "" && a.Required:
			return "", invalid("argument %q is needed: %s", a.Name, a.Description)
		case len(v) > maxArgument:
			return "", invalid("argument %q has %d bytes, %d are taken", a.Name, len(v), maxArgument)
		case v == "":
			v = "any " + a.Name
		}
		pairs = append(pairs, "{"+a.Name+"}", v)
	}
	return strings.NewReplacer(pairs...).Replace(j.text), nil
}
