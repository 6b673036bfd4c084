"""The name under which receivers know a model: from manufacturer, version and type of its header.

A profile's `product` setting goes over it. A second name is that of another generation of the same model.
"""

from __future__ import annotations

from collections.abc import Mapping

from dutyroom.profiles.codecs.mbus_link import Device

# manufacturer -> rows of (types, versions, names); an empty tuple stands for any.
_Rows = tuple[tuple[tuple[int, ...], tuple[int, ...], tuple[str, ...]], ...]
_PRODUCTS: Mapping[str, _Rows] = {
    "APA": (
        ((0x04,), (0x40,), ("elf",)),
        ((0x07,), (0x15,), ("aptmbusna",)),
        ((0x08,), (0x04,), ("apatoreitn",)),
        ((0x16,), (0x01,), ("ultrimis", "ultrimisv2")),
    ),
    "APT": (((0x08,), (0x04,), ("apatoreitn",)), ((0x03, 0x0F), (), ("apator08",))),
    "AXI": (((0x0D,), (0x0B, 0x0C), ("qualcosonic",)),),
    "BFW": (((0x08,), (0x02,), ("bfw240radio",)),),
    "BMP": (((0x08,), (), ("hydroclimav2",)),),
    "BMT": (
        ((0x06, 0x07), (0x13, 0x15, 0x17), ("hydrodigit",)),
        ((0x06, 0x07), (0x18,), ("iwmtx5",)),
        ((0x06, 0x07), (0x05,), ("rfmtx1",)),
        ((0x0D,), (0x1A,), ("hydrocalm4",)),
        ((0x1B,), (0x10,), ("rfmamb",)),
    ),
    "DME": (
        ((0x03,), (0x30,), ("aerius",)),
        ((0x04, 0x0C), (0x40,), ("sharky",)),
        ((0x04, 0x0C), (0x41,), ("sharky774",)),
        ((0x07,), (0x63,), ("dme173",)),
        ((0x07,), (0x78,), ("izarv2",)),
        ((0x07,), (0x7B,), ("dme_07",)),
    ),
    "DWZ": (((0x06, 0x07), (0x00, 0x02), ("waterstarm",)),),
    "EBZ": (((0x02,), (0x01,), ("ebzwmbe",)),),
    "EIE": (((0x1A,), (0x0C,), ("ei6500",)),),
    "ELR": (((0x37,), (0x11, 0x12), ("emerlin868",)),),
    "ELT": (((0x02,), (0x01,), ("eltako",)),),
    "FIO": (((0x07,), (0x01,), ("fiowater",)),),
    "GSS": (((0x02,), (0x01,), ("gransystems",)),),
    "GWF": (((0x03,), (0x3C,), ("gwfgas",)),),
    "HYD": (((0x06, 0x07), (0xFE,), ("mkradio4a",)),),
    "IME": (((0x02,), (0x1D,), ("nemo",)), ((0x02,), (0x66,), ("ime",))),
    "INE": (((0x08,), (0x55,), ("eurisii",)),),
    "IST": (((0x04,), (0xA9,), ("istaheat",)),),
    "ITW": (((0x07,), (0x03, 0x33), ("itron",)),),
    "KAM": (((0x04, 0x0C, 0x0D), (0x30,), ("kamheat",)), ((0x18,), (0x01,), ("kampress",))),
    "LAS": (
        ((0x00, 0x02), (0x0B, 0x14), ("lansenpu",)),
        ((0x1B,), (0x07, 0x09), ("lansenth",)),
        ((0x32,), (0x0B,), ("lansenrp",)),
    ),
    "LSE": (((0x06, 0x07), (0x18,), ("lse_07_17",)), ((0x08,), (0x01,), ("lse_08",))),
    "LUG": (((0x04, 0x0D), (0x04,), ("ultraheat",)),),
    "MAD": (((0x04,), (0x00,), ("microclima",)), ((0x07,), (0x01,), ("maddalena",)), ((0x07, 0x16), (0x50,), ("evo868",))),
    "NZR": (((0x02,), (0x00,), ("nzr",)),),
    "QDS": (
        ((0x04, 0x37), (0x23, 0x47), ("qheatv2",)),
        ((0x08,), (0x34, 0x35), ("qcaloric",)),
        ((0x1A,), (0x21, 0x23), ("qsmoke",)),
    ),
    "RAM": (((0x08,), (0x55,), ("eurisii",)),),
    "REL": (((), (0x41,), ("relhca",)),),
    "SAP": (((), (), ("izarv2",)),),
    "SEC": (((0x02,), (0x15,), ("iem3000",)),),
    "SEN": (((0x04,), (0x1D,), ("pollucomf",)), ((0x06, 0x07, 0x16), (0x68,), ("iperl",))),
    "TCH": (
        ((0x04,), (0x17,), ("vario451mid",)),
        ((0x04,), (0x28,), ("vario411",)),
        ((0x62, 0x72), (0x95,), ("mkradio4",)),
        ((0x62, 0x72), (0x50,), ("mkradio3a",)),
        ((0x80,), (0x69, 0x94), ("fhkvdataiii",)),
    ),
    "WEH": (((0x06, 0x07), (0xFE,), ("mkradio4a",)),),
    "WTT": (((0x07,), (0x59,), ("watertech",)),),
    "WZG": (((0x16,), (0x03,), ("werhlemodwm",)),),
    "ZRI": (
        ((0x04, 0x0C, 0x0D), (0x88,), ("c5isf",)),
        ((0x07,), (0x99,), ("uiws",)),
        ((0x16,), (0x0B,), ("zenner0b",)),
    ),
}  # fmt: skip


def products_of(device: Device | None) -> tuple[str, ...]:
    """The names, the usual one first; () when the model is not known."""
    if device is None:
        return ()
    for types, versions, names in _PRODUCTS.get(device.manufacturer, ()):
        if (not types or device.type in types) and (not versions or device.version in versions):
            return names
    return ()
