package enrich

import (
	"strings"

	"github.com/mileusna/useragent"

	"github.com/headlessly/headlessly"
)

// agent is a parsed user agent.
type agent struct {
	browser, browserVersion, os, osVersion, device string
	bot                                            bool
}

// maxUserAgentBytes bounds what is parsed and cached; real ones stay below it.
const maxUserAgentBytes = 1024

// botMarks are parts of user agents that automated clients carry and the
// parser does not call bots.
var botMarks = [...]string{
	"bot", "crawl", "spider", "slurp", "headlesschrome", "phantomjs", "lighthouse", "pingdom", "uptime",
	"curl/", "wget/", "python-requests", "python-urllib", "go-http-client", "okhttp-probe", "facebookexternalhit",
	"gptbot", "claudebot", "ccbot", "perplexity", "bytespider", "preview", "monitor", "scrapy",
}

func (en *Enricher) agent(e *headlessly.Event) {
	ua := e.UserAgent
	if ua == "" {
		return
	}
	if len(ua) > maxUserAgentBytes {
		ua = ua[:maxUserAgentBytes]
	}
	a, ok := en.agents.Get(ua)
	if !ok {
		ua = strings.Clone(ua) // the caller's buffer is used again
		a = parseAgent(ua)
		en.agents.Add(ua, a)
	}
	fill(&e.Browser, a.browser)
	fill(&e.BrowserVersion, a.browserVersion)
	fill(&e.OS, a.os)
	fill(&e.OSVersion, a.osVersion)
	fill(&e.Device, a.device)
	e.IsBot = e.IsBot || a.bot
}

func parseAgent(ua string) agent {
	p := useragent.Parse(ua)
	a := agent{
		browser: p.Name, browserVersion: p.Version, os: p.OS, osVersion: p.OSVersion,
		bot: p.Bot,
	}
	lower := strings.ToLower(ua)
	for _, m := range botMarks {
		a.bot = a.bot || strings.Contains(lower, m)
	}
	switch {
	case a.bot:
		a.device = "bot"
	case p.Tablet:
		a.device = "tablet"
	case p.Mobile:
		a.device = "mobile"
	case strings.Contains(lower, "smart-tv") || strings.Contains(lower, "smarttv") || strings.Contains(lower, "appletv"):
		a.device = "tv"
	case p.Desktop:
		a.device = "desktop"
	}
	return a
}

func fill(dst *string, v string) {
	if *dst == "" {
		*dst = v
	}
}
