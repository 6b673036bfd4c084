"""One table: route name -> the least right that it asks for. A route without a row is refused."""

from __future__ import annotations

from collections.abc import Mapping

from dutyroom.api.access import Least

_PUBLIC = ("health", "login", "login_post", "logout", "language", "wall", "home")
_WALL = ("stream", "wall_page")
_VIEWER = (
    # pages
    "page_desk", "page_devices", "page_device", "page_tickets", "page_ticket", "page_plans",
    "page_reads", "page_statements", "page_statement", "page_data", "page_account", "account_post",
    "watch",
    # API
    "api_sites", "api_site", "api_devices", "api_device", "api_points", "api_range", "api_buckets",
    "api_readings_at", "api_alarms", "api_alarm", "api_tickets", "api_ticket", "api_occurrences",
    "api_plans", "api_quarantine", "api_ledger", "api_ledger_sums", "api_ledger_csv", "api_completeness", "api_health", "api_findings", "api_outbox", "api_reads",
    "api_statements", "api_statement", "api_counts", "api_events", "api_trace", "api_problems", "api_exchanges",
    "page_registry", "registry_csv", "registry_xlsx",
    "page_trace", "page_api", "openapi", "api_me", "api_board", "page_unknown", "api_unknown", "api_profiles",
    "page_announcements", "api_announcements", "api_not_ours", "page_performance", "api_performance",
)  # fmt: skip
_OPERATOR = (
    "page_report", "page_messages", "api_announce", "api_announcement_action",
    "api_alarm_action", "api_ticket_action", "api_ticket_check", "api_report", "api_occurrence_done", "api_occurrence_excused", "api_device_service",
    "api_quarantine_settle", "api_quarantine_reprocess", "api_message_test",
)  # fmt: skip
_CLERK = (
    "statements_csv",
    "statements_xlsx",
    "api_readings_csv",
    "api_exchange",
    "api_read_correct",
    "api_bill",
    "api_quarantine_export",
    "reads_csv",
    "reads_xlsx",
)
_ADMINISTRATOR = (
    "page_people", "page_demo", "api_people", "api_person_put", "api_tokens", "api_token_new", "api_token_revoke",
    "page_registry_edit", "page_registry_import", "api_registry_import", "api_registry_put", "api_registry_withdraw",
    "api_registry_take_back", "api_audit", "api_inject", "api_scenarios", "page_audit", "api_adopt", "api_profile_reload",
    "api_unknown_profile", "api_disown", "api_disown_back",
)  # fmt: skip

RIGHTS: Mapping[str, str] = {
    **dict.fromkeys(_PUBLIC, Least.PUBLIC),
    **dict.fromkeys(_WALL, Least.WALL),
    **dict.fromkeys(_VIEWER, Least.VIEWER),
    **dict.fromkeys(_OPERATOR, Least.OPERATOR),
    **dict.fromkeys(_CLERK, Least.CLERK),
    **dict.fromkeys(_ADMINISTRATOR, Least.ADMINISTRATOR),
}
