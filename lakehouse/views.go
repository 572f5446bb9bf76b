package lakehouse

import "github.com/headlessly/headlessly/lakehouse/internal/wire"

// Views lists the views.
func Views() (names []string) {
	for _, v := range views() {
		names = append(names, v.Name)
	}
	return names
}

// views are the queries that come ready-made with the tables.
func views() []wire.View {
	return []wire.View{
		{Name: "pageviews", SQL: `SELECT tenant, timestamp, message_id, anonymous_id, user_id, session_id, url, host, path, query, title, referrer, referrer_host, channel,
			utm_source, utm_medium, utm_campaign, utm_term, utm_content, country, region, city, device, browser, os, language, is_bot, properties, received_at
			FROM events WHERE type IN ('page', 'screen')`},
		{Name: "sessions", SQL: `SELECT tenant, session_id, min(timestamp) AS started_at, max(timestamp) AS ended_at,
			date_diff('second', min(timestamp), max(timestamp)) AS duration_seconds,
			count(*) AS events, count(*) FILTER (type IN ('page', 'screen')) AS pageviews, count(*) FILTER (type = 'error') AS errors,
			count(*) FILTER (type IN ('page', 'screen')) <= 1 AS bounced,
			arg_max(user_id, timestamp) AS user_id, arg_min(anonymous_id, timestamp) AS anonymous_id,
			arg_min(path, timestamp) FILTER (type IN ('page', 'screen')) AS entry_path, arg_max(path, timestamp) FILTER (type IN ('page', 'screen')) AS exit_path,
			arg_min(referrer_host, timestamp) AS referrer_host, arg_min(channel, timestamp) AS channel, arg_min(utm_source, timestamp) AS utm_source,
			arg_min(utm_medium, timestamp) AS utm_medium, arg_min(utm_campaign, timestamp) AS utm_campaign,
			arg_min(country, timestamp) AS country, arg_min(device, timestamp) AS device, arg_min(browser, timestamp) AS browser, arg_min(os, timestamp) AS os,
			bool_or(is_bot) AS is_bot
			FROM events WHERE session_id IS NOT NULL GROUP BY tenant, session_id`},
		{Name: "errors", SQL: `SELECT tenant, timestamp, message_id, level, error_type, error_message, error_stack, fingerprint, release, environment,
			url, host, path, anonymous_id, user_id, session_id, browser, browser_version, os, os_version, device, country, properties, context, received_at
			FROM events WHERE type = 'error'`},
		{Name: "vitals", SQL: `SELECT tenant, timestamp, message_id, vital_name, vital_value, vital_rating, url, host, path, session_id, anonymous_id,
			country, device, browser, os, release, received_at
			FROM events WHERE type = 'vital'`},
		{Name: "identities", SQL: `SELECT tenant, anonymous_id, user_id, min(timestamp) AS first_seen, max(timestamp) AS last_seen, count(*) AS events
			FROM (SELECT tenant, anonymous_id, user_id, timestamp FROM events WHERE anonymous_id IS NOT NULL AND user_id IS NOT NULL
				UNION ALL SELECT tenant, previous_id, user_id, timestamp FROM events WHERE type = 'alias' AND previous_id IS NOT NULL AND user_id IS NOT NULL)
			GROUP BY tenant, anonymous_id, user_id`},
	}
}
