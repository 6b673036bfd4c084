"""Commands about device profiles. Each is described in docs/commands.md."""

from __future__ import annotations

from typing import Annotated

import typer

from dutyroom.cli.frame import Data, plain_errors, say, settings_with

profile = typer.Typer(
    help="Device profiles: try one on a message, complete them in an editor.", no_args_is_help=True
)


@profile.command(name="try")
def try_one(
    name: Annotated[
        str, typer.Argument(metavar="PROFILE", help="An id such as milesight/em300-th, or a file.")
    ],
    payload: Annotated[str, typer.Argument(help="JSON, hex or text; @FILE; - reads standard input.")],
    topic: Annotated[str, typer.Option(help="Default: one that the profile reads.")] = "",
    port: Annotated[int | None, typer.Option(min=0, max=255, help="LoRaWAN port.")] = None,
    received: Annotated[str, typer.Option(help="Receive time, ISO; default: now.")] = "",
    parameter: Annotated[list[str] | None, typer.Option(help="name=value of the device.")] = None,
    zone: Annotated[str, typer.Option(help="Of times without one.")] = "Asia/Shanghai",
) -> None:
    """Show what a profile makes of a message: which bytes became which field, and which field which point."""
    from dutyroom.wiring.profiles import try_profile

    with plain_errors():
        for line in try_profile(
            name, payload, topic=topic, port=port, received=received, parameters=parameter or [], tz=zone
        ):
            say(line)


@profile.command()
def reload(
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    data: Data = None,
) -> None:
    """Let the running service read the profiles of its site folder again, now."""
    from dutyroom.wiring.newcomers import reload_profiles

    with plain_errors():
        for line in reload_profiles(settings_with(data=data), site):
            say(line)


@profile.command()
def request(
    protocol: Annotated[str, typer.Argument(help="dlt645 or cjt188.")],
    address: Annotated[str, typer.Argument(help="As printed on the meter; '' = the only one on the bus.")],
    identifier: Annotated[
        str, typer.Argument(help="00010000, 901F ..., or `address` to ask for the address.")
    ],
    preamble: Annotated[int, typer.Option(help="Leading FE bytes.")] = 4,
    order: Annotated[str, typer.Option(help="CJ/T 188: 1F90 (2018) or 901F (2004).")] = "1F90",
    kind: Annotated[str, typer.Option(help="CJ/T 188: 10 water, 20 heat, 30 gas.")] = "10",
    serial: Annotated[int, typer.Option(help="CJ/T 188: SER; DL/T 645: part of a long block.")] = 0,
) -> None:
    """Print the frame that asks a meter for a register, in hex, for a DTU that forwards bytes."""
    from dutyroom.errors import Rejected
    from dutyroom.profiles.requests import read_request

    with plain_errors():
        if not kind.isdigit():
            raise Rejected(f"kind: two digits such as 10, not {kind!r}")
        frame = read_request(
            protocol, address, identifier, preamble=preamble, order=order, kind=int(kind, 16), serial=serial
        )
        say(frame.hex(" ").upper())


@profile.command()
def schema() -> None:
    """Print the JSON Schema of a profile file, for editors."""
    import json

    from dutyroom.profiles.schema import profile_schema

    say(json.dumps(profile_schema(), indent=1))
