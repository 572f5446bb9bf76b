package enrich

import (
	"strings"

	"github.com/headlessly/headlessly"
)

// Channels.
const (
	channelDirect        = "direct"
	channelOrganicSearch = "organic search"
	channelPaidSearch    = "paid search"
	channelOrganicSocial = "organic social"
	channelPaidSocial    = "paid social"
	channelPaid          = "paid"
	channelEmail         = "email"
	channelReferral      = "referral"
	channelAI            = "ai assistant"
	channelAffiliate     = "affiliate"
)

// siteKind names a group of referring sites.
type siteKind struct {
	kind  string
	hosts []string // a host matches itself and its subdomains; a trailing dot matches any public suffix
}

// sites lists referrers by kind. AI assistants come first: some live on a
// search engine's domain.
var sites = [...]siteKind{
	{channelAI, []string{
		"chatgpt.com", "chat.openai.com", "claude.ai", "perplexity.ai", "gemini.google.com", "copilot.microsoft.com",
		"you.com", "chat.deepseek.com", "grok.com", "meta.ai", "chat.mistral.ai", "phind.com", "poe.com",
	}},
	{channelEmail, []string{"mail.google.com", "outlook.live.com", "mail.yahoo.com", "mail.proton.me", "mail.ru"}},
	{channelOrganicSearch, []string{
		"google.", "bing.com", "duckduckgo.com", "search.yahoo.", "yahoo.", "ecosia.org", "baidu.com", "yandex.", "search.brave.com",
		"qwant.com", "startpage.com", "naver.com", "seznam.cz", "kagi.com", "ask.com",
	}},
	{channelOrganicSocial, []string{
		"facebook.com", "fb.com", "instagram.com", "threads.net", "twitter.com", "x.com", "t.co", "linkedin.com", "lnkd.in", "reddit.com",
		"pinterest.", "tiktok.com", "youtube.com", "youtu.be", "news.ycombinator.com", "mastodon.social", "bsky.app", "vk.com",
		"whatsapp.com", "telegram.org", "t.me", "discord.com", "snapchat.com", "quora.com", "tumblr.com",
	}},
}

// Channel says how the visitor came: from the campaign where there is one,
// else from the referrer. Events without a page have no channel.
func Channel(e *headlessly.Event) {
	if e.Channel != "" || e.URL == "" {
		return
	}
	kind := siteOf(e.ReferrerHost)
	if kind == "" {
		kind = siteOf(sourceHost(e.UTMSource))
	}
	medium := strings.ToLower(e.UTMMedium)
	switch {
	case paidMedium(medium) || e.ClickIDKind != "" && e.ClickIDKind != "fbclid" && e.ClickIDKind != "twclid" && e.ClickIDKind != "li_fat_id":
		e.Channel = paidChannel(kind, e.ClickIDKind)
	case medium == "email" || medium == "e-mail" || strings.ToLower(e.UTMSource) == "newsletter":
		e.Channel = channelEmail
	case medium == "affiliate" || medium == "affiliates":
		e.Channel = channelAffiliate
	case medium == "social" || medium == "social-media" || e.ClickIDKind != "":
		e.Channel = channelOrganicSocial
	case kind != "":
		e.Channel = kind
	case e.ReferrerHost != "" && !sameSite(e.ReferrerHost, e.Host), e.UTMSource != "":
		e.Channel = channelReferral
	default:
		e.Channel = channelDirect
	}
}

func paidMedium(m string) bool {
	switch m {
	case "cpc", "ppc", "paid", "paidsearch", "paid-search", "paidsocial", "paid-social", "cpm", "display", "retargeting", "cpv", "cpa":
		return true
	}
	return strings.HasPrefix(m, "paid")
}

func paidChannel(kind, click string) string {
	switch {
	case kind == channelOrganicSocial || click == "ttclid":
		return channelPaidSocial
	case kind == channelOrganicSearch || click == "gclid" || click == "gbraid" || click == "wbraid" || click == "msclkid":
		return channelPaidSearch
	}
	return channelPaid
}

// sourceHost turns a utm_source such as "google" or "facebook" into a host.
func sourceHost(source string) string {
	source = strings.ToLower(source)
	if source == "" || strings.Contains(source, ".") {
		return source
	}
	return source + ".com"
}

func siteOf(host string) string {
	if host == "" {
		return ""
	}
	if i := siteKinds.of(host); i < len(sites) {
		return sites[i].kind
	}
	return ""
}

// sameSite says whether two hosts are the same but for a leading "www.".
func sameSite(a, b string) bool {
	return strings.TrimPrefix(a, "www.") == strings.TrimPrefix(b, "www.")
}
