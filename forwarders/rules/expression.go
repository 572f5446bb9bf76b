package rules

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"

	"github.com/headlessly/headlessly"
)

const (
	maxSource = 2000
	maxNodes  = 200
)

// env is what an expression sees of an event.
type env struct {
	Type        string         `expr:"type"`
	Event       string         `expr:"event"`
	Source      string         `expr:"source"`
	UserID      string         `expr:"userId"`
	AnonymousID string         `expr:"anonymousId"`
	SessionID   string         `expr:"sessionId"`
	GroupID     string         `expr:"groupId"`
	URL         string         `expr:"url"`
	Host        string         `expr:"host"`
	Path        string         `expr:"path"`
	Query       string         `expr:"query"`
	Title       string         `expr:"title"`
	Referrer    string         `expr:"referrer"`
	Channel     string         `expr:"channel"`
	UTMSource   string         `expr:"utmSource"`
	UTMMedium   string         `expr:"utmMedium"`
	UTMCampaign string         `expr:"utmCampaign"`
	Country     string         `expr:"country"`
	Region      string         `expr:"region"`
	City        string         `expr:"city"`
	Browser     string         `expr:"browser"`
	OS          string         `expr:"os"`
	Device      string         `expr:"device"`
	Language    string         `expr:"language"`
	IsBot       bool           `expr:"isBot"`
	Consent     string         `expr:"consent"`
	Level       string         `expr:"level"`
	ErrorType   string         `expr:"errorType"`
	Message     string         `expr:"errorMessage"`
	Release     string         `expr:"release"`
	Environment string         `expr:"environment"`
	VitalName   string         `expr:"vitalName"`
	VitalValue  float64        `expr:"vitalValue"`
	VitalRating string         `expr:"vitalRating"`
	Revenue     float64        `expr:"revenue"`
	Currency    string         `expr:"currency"`
	Properties  map[string]any `expr:"properties"`
	Traits      map[string]any `expr:"traits"`
	Context     map[string]any `expr:"context"`
}

func view(e *headlessly.Event) env {
	return env{
		Type: e.Type, Event: e.Event, Source: e.Source, UserID: e.UserID, AnonymousID: e.AnonymousID, SessionID: e.SessionID,
		GroupID: e.GroupID, URL: e.URL, Host: e.Host, Path: e.Path, Query: e.Query, Title: e.Title, Referrer: e.Referrer,
		Channel: e.Channel, UTMSource: e.UTMSource, UTMMedium: e.UTMMedium, UTMCampaign: e.UTMCampaign, Country: e.Country,
		Region: e.Region, City: e.City, Browser: e.Browser, OS: e.OS, Device: e.Device, Language: e.Language, IsBot: e.IsBot,
		Consent: e.Consent, Level: e.Level, ErrorType: e.ErrorType, Message: e.ErrorMessage, Release: e.Release,
		Environment: e.Environment, VitalName: e.VitalName, VitalValue: e.VitalValue, VitalRating: e.VitalRating,
		Revenue: float64(e.RevenueE4) / 10_000, Currency: e.Currency,
		Properties: object(e.Properties), Traits: object(e.Traits), Context: object(e.Context),
	}
}

func object(text string) map[string]any {
	var m map[string]any
	if text != "" {
		_ = json.Unmarshal([]byte(text), &m) // what is no object has no members
	}
	return m
}

// compile makes a program of an expression that cannot run for long.
func compile(source string, more ...expr.Option) (*vm.Program, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("expression is longer than %d characters", maxSource)
	}
	check := new(limits)
	options := []expr.Option{expr.Env(env{}), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins(), expr.Patch(check)}
	for _, name := range []string{
		"all", "any", "none", "one", "count", "len", "trim", "upper", "lower", "hasPrefix", "hasSuffix", "indexOf",
		"int", "float", "string", "abs", "ceil", "floor", "round", "min", "max", "get",
	} {
		options = append(options, expr.EnableBuiltin(name))
	}
	p, err := expr.Compile(source, append(options, more...)...)
	if err != nil {
		return nil, err
	}
	return p, check.err
}

// limits refuses what could multiply an expression's work.
type limits struct{ err error }

// Visit implements ast.Visitor.
func (l *limits) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.BinaryNode:
		if n.Operator == ".." {
			l.err = errors.New("ranges (..) are not allowed")
		}
	case *ast.PredicateNode:
		inner := new(predicates)
		ast.Walk(&n.Node, inner)
		if inner.n > 0 {
			l.err = errors.New("a loop (all, any, count …) within a loop is not allowed")
		}
	}
}

type predicates struct{ n int }

// Visit implements ast.Visitor.
func (p *predicates) Visit(node *ast.Node) {
	if _, ok := (*node).(*ast.PredicateNode); ok {
		p.n++
	}
}
