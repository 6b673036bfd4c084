"""What servers and receivers wrap around a device's own message: topics, whose it is, when, the bytes.

A profile names one by `envelope:`; its own fields go over it. All profiles of one envelope share its
topics and find the device the same way, so the registry says which of them reads a message.
"""

from __future__ import annotations

from collections.abc import Mapping

# ChirpStack v3 writes the EUI in base64 or hex, v4 in hex; The Things Stack in capitals. What a decoder of v3 made stands as a text of
# JSON in `objectJSON` (one of its three marshalers: in `object`), that of v4 in `object`.
_LORAWAN = """
unwrap: uplink
match:
  topics:
    - application/{application}/device/{device}/event/up
    - application/{application}/device/{device}/rx
    - v3/{application}/devices/{device}/up
    - lorawan/{device}/up/{port}
identity: ["{$.deviceInfo.devEui|eui}", "{$.end_device_ids.dev_eui|eui}", "{$.devEUI|eui}", "{$.devEui|eui}"]
time: [$.time, $.uplink_message.received_at, $.received_at, "$.rxInfo[0].time"]
bytes:
  from: [data, uplink_message.frm_payload]
  encoding: base64
  port: [fPort, uplink_message.f_port]
sequence: {from: [$.fCnt, $.uplink_message.f_cnt], modulus: 4294967296}
"""

ENVELOPES: Mapping[str, str] = {
    "lorawan": _LORAWAN,
    "chirpstack": """
unwrap: [json, {parse: objectJSON, as: object}]
match: {topics: ["application/{application}/device/{device}/event/up", "application/{application}/device/{device}/rx"]}
identity: ["{$.deviceInfo.devEui}", "{$.devEUI|eui}", "{$.devEui|eui}"]
time: [$.time, "$.rxInfo[0].time"]
each: object
bytes: {from: data, encoding: base64, port: fPort}
sequence: {from: $.fCnt, modulus: 4294967296}
""",
    "tts": """
match: {topics: ["v3/{application}/devices/{device}/up"]}
identity: "{$.end_device_ids.dev_eui}"
time: [$.uplink_message.received_at, $.received_at]
each: uplink_message.decoded_payload
bytes: {from: uplink_message.frm_payload, encoding: base64, port: uplink_message.f_port}
sequence: {from: $.uplink_message.f_cnt, modulus: 4294967296}
""",
    "wmbus": """
unwrap: hex
match: {topics: ["wmbus/{receiver}/telegram", "wmbus/telegram"]}
codec: wmbus
identity: "{@.id}"
""",
}

# Where a server says which product a device is: paths whose texts, joined, are compared with `products`.
HINTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "lorawan": (
        ("deviceInfo.deviceProfileName",),
        ("deviceProfileName",),
        ("uplink_message.version_ids.brand_id", "uplink_message.version_ids.model_id"),
    ),
}
