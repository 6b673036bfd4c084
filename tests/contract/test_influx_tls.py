"""An InfluxDB by https: a real one with a certificate of our own authority, and one behind a proxy that wants ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.servers.certificates import Authority
from tests.servers.child import Missing
from tests.servers.influx import Bucket, Influx, new_influx
from tests.servers.needed import unavailable
from tests.servers.tls_proxy import TlsProxy
from typer.testing import CliRunner

from dutyroom.cli import app
from dutyroom.errors import Rejected, Unavailable
from dutyroom.model.figures import Figure
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable, Readings
from dutyroom.settings import Settings
from dutyroom.wiring.stores import influx_door, store_of

pytestmark = pytest.mark.servers
T = 1_795_651_200_000
POINT = Point(1, "estate", "m1", DeviceClass.SENSOR, "", PointSpec("level"))


@dataclass(frozen=True)
class Secure:
    server: Influx
    authority: Authority
    folder: Path

    def setup(self, *more: str) -> tuple[int, str]:
        words = ["influx", "setup", "--url", self.server.url, "--tokens", str(self.folder / "tokens"), *more]
        done = CliRunner().invoke(app, words)
        return done.exit_code, done.output


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder / "certificates")
    try:
        server = new_influx(folder / "influx", authority.sign("influx"))
    except Missing as err:
        unavailable("influxdb", err)
    yield Secure(server, authority, folder)
    server.stop()


def settings(url: str, token: Path, **files: Path) -> Settings:
    given = {f"influx_{name}": path for name, path in files.items()}
    return Settings(readings="influx", influx_url=url, influx_token_file=token, **given)


def round_trip(found: Settings) -> list[float]:
    store = store_of(found, "estate")
    try:
        store.write(Readings.of([(1, T, 1.5, 0, 0)]), PointTable([POINT]))
        return store.range(POINT, T - 1, T + 1).value.tolist()
    finally:
        store.close()


def test_it_is_set_up_and_used_by_the_certificate_of_our_own_authority(secure: Secure) -> None:
    code, said = secure.setup()
    assert code == 1
    assert "its certificate is not trusted" in said
    assert "DUTYROOM_INFLUX_CA_FILE" in said
    stranger = Authority(secure.folder / "stranger", "stranger")
    code, said = secure.setup("--ca-file", str(stranger.certificate))
    assert (code, "its certificate is not trusted" in said) == (1, True)
    code, said = secure.setup("--ca-file", str(secure.authority.certificate))
    assert code == 0, said
    token = secure.folder / "tokens" / "service.token"
    trusting = settings(secure.server.url, token, ca_file=secure.authority.certificate)
    assert round_trip(trusting) == [1.5]
    for other in (
        settings(secure.server.url, token, ca_file=stranger.certificate),
        settings(secure.server.url, token),
    ):
        with pytest.raises(Unavailable, match=r"its certificate is not trusted: .*(issuer|self-signed)"):
            round_trip(other)


def test_figures_go_the_same_way(secure: Secure) -> None:
    from dutyroom.backends.influx_figures import InfluxFigures

    assert secure.setup("--ca-file", str(secure.authority.certificate))[0] == 0
    token = secure.folder / "tokens" / "service.token"
    found = settings(secure.server.url, token, ca_file=secure.authority.certificate)
    figures = InfluxFigures(influx_door(found), found.influx_token_value(), "dutyroom", "dutyroom")
    figures.write([Figure("dutyroom_data", {"site": "estate"}, {"spool": 1.0}, T)])
    figures.close()


def test_a_server_that_wants_our_certificate_gets_it(influx: Bucket, tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path / "ours", "ours"), Authority(tmp_path / "theirs", "theirs")
    port = urlsplit(influx.url).port
    assert port is not None
    proxy = TlsProxy(port, theirs.sign("proxy"), ours.certificate)
    token, word = tmp_path / "token", tmp_path / "word"
    token.write_text(influx.token)
    word.write_text("sesame\n")
    certificate, key = ours.sign("dutyroom")
    locked, its_key = ours.sign("locked", "sesame")
    url = f"https://127.0.0.1:{proxy.port}"

    def given(**files: Path) -> Settings:
        found = settings(url, token, ca_file=theirs.certificate, **files)
        return found.model_copy(update={"influx_org": influx.org, "influx_bucket": influx.name})

    assert round_trip(given(certificate_file=certificate, key_file=key)) == [1.5]
    assert round_trip(given(certificate_file=locked, key_file=its_key, key_password_file=word)) == [1.5]
    with pytest.raises(Unavailable, match=r"wants one|not answer"):
        round_trip(given())
    with pytest.raises(Rejected, match="DUTYROOM_INFLUX_KEY_PASSWORD_FILE"):
        round_trip(given(certificate_file=locked, key_file=its_key))
    with pytest.raises(Rejected, match="does not belong to the client certificate"):
        round_trip(given(certificate_file=certificate, key_file=theirs.sign("other")[1]))
    proxy.close()


def test_certificates_that_have_no_meaning_or_are_not_there_are_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    with pytest.raises(Rejected, match="with https only"):
        influx_door(settings("http://influx:8086", token, ca_file=tmp_path / "ca"))
    with pytest.raises(Rejected, match=r"the certificates in .*ca cannot be used"):
        influx_door(settings("https://influx:8086", token, ca_file=tmp_path / "ca"))
