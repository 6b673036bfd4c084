"""Period readings and a statement as rows for people: registers in physical units, Decimals only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from dutyroom.api.asked import Asked, Json
from dutyroom.api.present import Presenter
from dutyroom.flows.billing import statement_trace
from dutyroom.metering.registers import steps_of
from dutyroom.model.metering import Exchange, Line, PeriodRead, Statement, Usage

_FIGURE = re.compile(r"-?\d{4,}(\.\d+)?")  # four digits and more: what has thousands to group


def reads_table(ask: Asked, now: Sequence[PeriodRead], before: Sequence[PeriodRead]) -> list[Json]:
    """One row a meter register: this cut-off, the one before, the difference where it says something."""
    shown = ask.presenter()
    old = {(r.device, r.point): r for r in before}
    with ask.room.records.read() as tx:
        exchanges = tx.metering.exchanges(ask.name)
    rows = []
    for read in sorted(now, key=lambda r: (r.device, r.point)):
        point = ask.site.table.find(read.device, read.point)
        step = point.spec.step if point is not None and point.spec.step is not None else Decimal(1)
        earlier = old.get((read.device, read.point))
        device = shown.devices.get(read.device)
        rows.append(
            {
                "device": read.device,
                "name": shown.device_name(read.device),
                "place": shown.place(device.space) if device else "",
                "point": shown.point_name(read.point, point.spec if point else None),
                "point_id": read.point,
                "unit": shown.words.unit(point.spec.unit) if point else "",
                "steps": read.steps,
                "value": _register(shown, read.steps, step),
                "before": _register(shown, earlier.steps if earlier else None, step),
                "use": _use(shown, earlier, read, step, exchanges),
                "at": read.at,
                "flag": read.flag.value,
                "flag_text": shown.words.t(f"read_flag.{read.flag.value}"),
                "method": shown.words.t(f"read_method.{read.method}"),
                "version": read.version,
            }
        )
    return rows


def _register(shown: Presenter, steps: int | None, step: Decimal) -> str:
    return shown.words.exact(steps * step) if steps is not None else "—"


def _use(
    shown: Presenter,
    before: PeriodRead | None,
    now: PeriodRead,
    step: Decimal,
    exchanges: Sequence[Exchange],
) -> str:
    """Left open where a register is missing, went down or is another meter's: the statement knows."""
    if before is None or before.steps is None or now.steps is None or now.steps < before.steps:
        return "—"
    first, last = before.at or before.cut_off, now.at or now.cut_off
    same = (now.device, now.point)
    if any((e.device, e.point) == same and first < e.at <= last for e in exchanges):
        return "—"
    return shown.words.exact((now.steps - before.steps) * step)


def statement_view(ask: Asked, statement: Statement) -> Json:
    """What the A4 page prints."""
    shown = ask.presenter()
    return {
        "place": shown.place(statement.unit),
        "usages": [_usage(shown, usage) for usage in statement.usages],
        "lines": [_line(shown, line, statement.currency) for line in statement.lines],
        "total": shown.words.money(statement.total, statement.currency),
        "sign": currency_sign(statement.currency),
        "currency": currency_word(shown, statement.currency),
        "corrections": [shown.text(c.key, c.arguments) for c in statement.corrections],
        "digest": f"{statement.digest[:8]}…{statement.digest[-4:]}",
    }


def currency_sign(code: str) -> str:
    """What stands before a sum: ¥, € or $, else the currency's code."""
    return {"CNY": "¥", "EUR": "€", "USD": "$"}.get(code, code)


def currency_word(shown: Presenter, code: str) -> str:
    """In words where there are any, else its code."""
    return shown.words.t(f"currency.{code}") if shown.words.has(f"currency.{code}") else code


def _usage(shown: Presenter, usage: Usage) -> Json:
    device = shown.devices.get(usage.device)
    segments = usage.segments or ((usage.opening.steps, usage.closing.steps, "plain"),)
    steps = steps_of(usage)  # a new meter may count in other steps
    kind = f"class.{device.device_class}" if device else "class.other"
    return {
        "kind": shown.words.t(kind),
        "device": usage.device,
        "address": device.address if device else usage.device,
        "opening": [_register(shown, s[0], step) for s, step in zip(segments, steps, strict=False)],
        "closing": [_register(shown, s[1], step) for s, step in zip(segments, steps, strict=False)],
        "multiplier": shown.words.exact(usage.multiplier),
        "quantity": shown.words.exact(usage.quantity),
        "unit": shown.words.unit(usage.unit),
        "flags": [shown.words.t(f"usage_flag.{flag}") for flag in usage.flags],
        "basis": _basis(shown, usage),
    }


def _basis(shown: Presenter, usage: Usage) -> str:
    flags = {usage.opening.flag.value, usage.closing.flag.value}
    worst = next((f for f in ("N", "E", "S", "A") if f in flags), "A")
    at = shown.words.time(usage.closing.at, "date_time")
    return f"{shown.words.t(f'read_flag.{worst}')} · {at}"


def _line(shown: Presenter, line: Line, currency: str) -> Json:
    arguments = {name: _figure(shown, text) for name, text in dict(line.arguments).items()}
    yearly = f"{line.key}.year"
    key = yearly if "year_to_date" in arguments and shown.words.has(yearly) else line.key
    return {
        "text": shown.text(key, arguments),
        "quantity": f"{shown.words.exact(line.quantity)} {shown.words.unit(line.unit)}".strip()
        if line.quantity is not None
        else "",
        "price": _price(shown, line.price),
        "amount": shown.words.money(line.amount, currency),
        "detail": line.detail,
    }


def _price(shown: Presenter, price: Decimal | None) -> str:
    """With four places, and with all that it has: never rounded."""
    if price is None:
        return ""
    exponent = price.as_tuple().exponent
    return shown.words.number(price, max(4, -exponent if isinstance(exponent, int) else 0))


def _figure(shown: Presenter, text: str) -> str:
    """A figure among a line's arguments, its thousands grouped; words stay as they are."""
    return shown.words.exact(Decimal(text)) if _FIGURE.fullmatch(text) else text


def trace_groups(ask: Asked, statement: Statement) -> list[Json]:
    """Trace rows with the printed lines that stand on the same registers put together."""
    groups: list[Json] = []
    for row in trace_rows(ask, statement):
        same = ("device", "quantity", "reads")
        if not groups or any(groups[-1][name] != row[name] for name in same):
            groups.append({name: row[name] for name in (*same, "name")} | {"items": []})
        groups[-1]["items"].append((row["item"], row["amount"]))
    return groups


def trace_rows(ask: Asked, statement: Statement) -> list[Json]:
    """One row a usage behind a printed amount: both registers, when and from what they were read."""
    shown, rows = ask.presenter(), []
    printed = [_line(shown, line, statement.currency) for line in statement.lines]
    for row in statement_trace(ask.room.records, statement.site, statement.number):
        usage = row.usage
        rows.append(
            {
                "item": printed[row.line]["text"],
                "amount": printed[row.line]["amount"],
                "device": usage.device,
                "name": shown.device_name(usage.device),
                "quantity": f"{shown.words.exact(usage.quantity)} {shown.words.unit(usage.unit)}",
                "reads": _reads(shown, usage),
            }
        )
    return rows


def _reads(shown: Presenter, usage: Usage) -> list[Json]:
    """The opening register, those of each exchange, the closing one; each by its own meter's step."""
    steps = steps_of(usage)
    swaps = [_swap(shown, e, *steps[n : n + 2]) for n, e in enumerate(usage.exchanges)]
    opening, closing = _read(shown, usage.opening, steps[0]), _read(shown, usage.closing, steps[-1])
    opening["label"], closing["label"] = (shown.words.t(f"statement.{n}") for n in ("opening", "closing"))
    return [opening, *swaps, closing]


def _swap(shown: Presenter, exchange: Exchange, old: Decimal, new: Decimal) -> Json:
    closing, opening = _register(shown, exchange.closing, old), _register(shown, exchange.opening, new)
    return {
        "label": shown.words.t("usage_flag.exchange"),
        "register": f"{closing} → {opening}",
        "steps": None,
        "at": shown.words.time(exchange.at, "full"),
        "flag": "",
        "method": shown.words.t("read_method.manual"),
        "source": exchange.reason,
        "version": 1,
        "actor": shown.actor(exchange.actor),
    }


def _read(shown: Presenter, read: PeriodRead, step: Decimal) -> Json:
    return {
        "register": _register(shown, read.steps, step),
        "steps": read.steps,
        "at": shown.words.time(read.at, "full"),
        "flag": shown.words.t(f"read_flag.{read.flag.value}"),
        "method": shown.words.t(f"read_method.{read.method}"),
        "source": read.source,
        "version": read.version,
        "actor": shown.actor(read.actor),
    }
