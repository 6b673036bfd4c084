"""The messages as the products send them. See docs/devices.md for each topic."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import orjson

from dutyroom_simulators.estate import PORTAL, SITE


def iso(at: int) -> str:
    """UTC, seconds."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _iso_ms(at: int) -> str:
    return iso(at)[:-1] + f".{at % 1000:03d}Z"


def _blank(at: int) -> str:
    return iso(at).replace("T", " ").replace("Z", " UTC")


def wmbus(
    address: str, name: str, media: str, total: float, flow: float | None, at: int
) -> tuple[str, bytes]:
    """A wM-Bus meter as wmbusmeters publishes it. total m3, flow m3/h."""
    body: dict[str, object] = {
        "_": "telegram",
        "media": media,
        "meter": "auto" if media == "gas" else "multical21",
        "name": name,
        "id": address,
        "status": "OK",
        "total_m3": total,
    }
    if media == "gas":
        body["battery_v"] = 3.31
    else:
        body |= {"flow_m3h": round(flow or 0.0, 3), "flow_temperature_c": 12, "external_temperature_c": 19}
    body |= {"timestamp": iso(at), "device": "rtlwmbus[00000001]", "rssi_dbm": -71}
    return f"wmbusmeters/{address}", orjson.dumps(body)


def dtu_batch(gateway: str, rows: Sequence[tuple[str, float, float, int]]) -> tuple[str, bytes]:
    """Electricity meters behind an EdgeLogger DTU. rows: (meter, kWh, kW, at)."""
    batch = [
        {
            "timestamp": str(at),
            "device_type": "single_phase_meter",
            "device_id": meter,
            "metrics": {
                "voltage": {"data_type": "float", "unit": "V", "value": {"phase_a": 230.4}},
                "current": {"data_type": "float", "unit": "A", "value": {"phase_a": round(kw / 0.2304, 2)}},
                "power": {"active": {"data_type": "float", "unit": "kW", "value": {"total": round(kw, 3)}}},
                "energy": {"active": {"data_type": "float", "unit": "kWh", "value": {"forward": kwh}}},
            },
        }
        for meter, kwh, kw, at in rows
    ]
    newest = max(at for *_, at in rows)
    number = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{gateway}/{newest}/{len(rows)}"))
    body = {
        "msgType": "up",
        "msgId": number,
        "source": {"ip_addr": "192.0.2.10", "source_id": gateway},
        "batch": batch,
    }
    return f"device/{SITE}/up/{gateway}", orjson.dumps(body)


def dtu_status(gateway: str, online: bool) -> tuple[str, bytes]:
    return f"device/{SITE}/status/{gateway}", b"online" if online else b"offline"


def lora_status(gateway: str, online: bool) -> tuple[str, bytes]:
    body = {"gatewayId": gateway, "state": "ONLINE" if online else "OFFLINE"}
    return f"eu868/gateway/{gateway}/state/conn", orjson.dumps(body)


def water_tts(eui: str, volume: float, flow: float, at: int, every: int = 60) -> tuple[str, bytes]:
    """An Axioma meter through The Things Stack. every: seconds between its messages."""
    device = eui.lower()
    body = {
        "end_device_ids": {
            "device_id": device,
            "application_ids": {"application_id": SITE},
            "dev_eui": eui,
        },
        "received_at": _iso_ms(at),
        "uplink_message": {
            "f_port": 100,
            "f_cnt": at // (every * 1000) % 65_536,
            "frm_payload": "",
            "decoded_payload": {
                "volume": {"value": volume, "unit": "m3"},
                "flow": {"value": round(flow, 3), "unit": "m3/h"},
                "battery": 91,
                "temperature": 11.5,
                "status": "ok",
            },
            "received_at": iso(at),
        },
    }
    return f"v3/{SITE}@ttn/devices/{device}/up", orjson.dumps(body)


def tank_chirpstack(eui: str, name: str, level: float, at: int, every: int = 60) -> tuple[str, bytes]:
    """A Milesight EM500-SWL through ChirpStack. level: m; its decoder says centimetres."""
    body = {
        "deduplicationId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{eui}/{at}")),
        "time": _iso_ms(at),
        "deviceInfo": {
            "applicationName": SITE,
            "deviceName": name,
            "deviceProfileName": "Milesight EM500-SWL",
            "devEui": eui,
        },
        "fPort": 85,
        "fCnt": at // (every * 1000) % 65_536,
        "data": "",
        "object": {"depth": round(level * 100, 1), "battery": 97},
        "rxInfo": [{"gatewayId": "24e124fffef00001", "rssi": -71, "snr": 9.2}],
    }
    return f"application/7d1c0f0e/device/{eui}/event/up", orjson.dumps(body)


def neuron(address: str, tags: Mapping[str, float], at: int) -> tuple[str, bytes]:
    """A controller read over Modbus by EMQX Neuron. address: node/group."""
    node, _, group = address.partition("/")
    body = {
        "timestamp": at,
        "node": node,
        "group": group,
        "tags": [{"name": name, "value": value} for name, value in tags.items()],
    }
    return f"neuron/dutyroom/{node}/{group}", orjson.dumps(body)


def shelly_em(address: str, watts: float, volts: float) -> tuple[str, bytes]:
    amps = round(watts / 230 / 3, 3) if volts else 0.0
    body = {
        "id": 0,
        "a_current": amps,
        "a_voltage": volts,
        "b_voltage": volts,
        "c_voltage": volts,
        "a_freq": 50.0 if volts else 0.0,
        "total_current": round(amps * 3, 3),
        "total_act_power": round(watts, 1),
        "total_aprt_power": round(watts * 1.04, 1),
    }
    return f"{address}/status/em:0", orjson.dumps(body)


def shelly_emdata(address: str, watt_hours: float) -> tuple[str, bytes]:
    body = {"id": 0, "total_act": round(watt_hours, 2), "total_act_ret": 0.0}
    return f"{address}/status/emdata:0", orjson.dumps(body)


def shelly_switch(address: str, on: bool, watts: float, watt_hours: float) -> tuple[str, bytes]:
    body = {
        "id": 0,
        "source": "init",
        "output": on,
        "apower": watts,
        "voltage": 230.8,
        "current": round(watts / 230.8, 2),
        "aenergy": {"total": round(watt_hours, 2)},
    }
    return f"{address}/status/switch:0", orjson.dumps(body)


def gate_status(address: str, opened: bool, at: int) -> tuple[str, bytes]:
    body = {
        "message": {
            "status": {
                "device-id": int(address),
                "door-states": {"1": opened, "2": False, "3": False, "4": False},
                "system-error": 0,
                "system-datetime": _blank(at),
            }
        }
    }
    return "uhppoted/gateway/status", orjson.dumps(body)


_REASONS = {  # reason -> event type, its words, the reason's words
    1: (1, "card swipe", "swipe"),
    23: (2, "door", "door opened"),
    24: (2, "door", "door closed"),
    38: (3, "alarm", "forced open"),
}


def gate_event(address: str, reason: int, card: int, at: int) -> tuple[str, bytes]:
    """A controller tells of one of its reasons, at a full second; card 0 = none."""
    kind, kind_text, reason_text = _REASONS[reason]
    event = {
        "device-id": int(address),
        "event-id": at // 1000 % 1_000_000,
        "event-type": kind,
        "event-type-text": kind_text,
        "access-granted": kind == 1,
        "door-id": 1,
        "direction": 1,
        "direction-text": "in",
        "card-number": card,
        "timestamp": _blank(at),
        "event-reason": reason,
        "event-reason-text": reason_text,
    }
    return "uhppoted/gateway/events", orjson.dumps({"message": {"event": event}})


def victron(path: str, value: float | int | None) -> tuple[str, bytes]:
    return f"N/{PORTAL}/{path}", orjson.dumps({"value": value})
