"""States as detectors stored them before each was packed as a whole: they go on from them."""

from __future__ import annotations

import base64
import zlib

import msgspec
import pytest

from dutyroom.errors import Rejected
from dutyroom.rules.learned.load import Load
from dutyroom.rules.learned.neighbours import Neighbours

from .series import FLAT, alarms
from .test_contract import CASES, power_series

OWN = [case for case in CASES if case[0] not in ("network_water", "zone_silence")]
# Of each of them, after two thirds of its series: MessagePack, compressed, in base 85.
STORED = [
    (0, [
        'c-p(eAaKN}LEn1HTt)^421gb!9nd>HPiT9;0|ON3Zkqdk`5XkFfnoC50ROWAibobO_$UNE2wV^hlW6c~@M3TQGu?o2z`+p%IMb8C',
        'v%v>MGPpGaKu9nRhCr4Z1RmjF2nNB1fFlAJrZF7hVPG(DWMDV|42%U1hnD1|CT5>!U|^iHY~vjU5MypdFC&C8Ili>v@M)M<ID-KI',
        '^Z+&;',
    ]),
    (1, [
        'c-otF#Hc~vddgfz1_lO47BC&qJ3UWmd%pt%6zFc6`+oTx1fPLn^4S3YvjK`nL>N4@wGqN|G#D7PwGW+VU|^iHY~vjU5M%D-_|gV2',
        'BV2ej!)g2O2MPtwXFHE@z%-q9&=z`Cyl##8*#JKPeLpBF',
    ]),
    (2, [
        'c-otK#Hc~vddgfz1_lO47BC&qJ3UWmd%pt%6zFc6`+oTx1fPN7(7N2zlGLL3qWqkkq{QUx^9&4(bJH(`F-$t`&_8GS`?;HRfs7I`',
        '0|1>`B0v',
    ]),
    (3, [
        'c-otK#Hc~vddgfz1_lO47BC&qJ3UWmd%pt%gSsKdnl<*io94b>J_p2yfkW$ZQ%h2d;*0Wga*`60v(GayFwRZC5XLa+v_t=#<?rWi',
        '(giX~zzhH!)g(6',
    ]),
    (5, [
        'c-otJ=sW`h<D6w1?=XNEb90YuNPsg=J4|imvMpGAo$)jS6r5u)d)F}eY=HaO0L3F*3~&Gd1ELr1',
    ]),
    (6, [
        'c-osh^AN*12KF}d(+=Y0v+K(e@>v+pGR2<_usv=6fdLFAoo0XnIO8be4i1YywjgX|v&BZ!w%hii?GM{OwhVQIAgcO%w)1UWY%kjc',
        '+sv_^VYSxswMCqTfCYzzi^U;}3d?A#DC<%6)Kw1v^MkVW',
    ]),
    (7, [
        'c-otJ=sW`h<D6w1?=Uc|ElJGFj?XVkElSJDFFzaLbcBO}p~0Sk;eh>-4-5<pVAe>Xr%nO|%-kTc#s{bEzu#E;`R{cdsE~?n15jv}',
        'dEh1eqfjBkp9(;s$pKP*R@qP?`z;56LMc+8&nymt3i%c!0EKi;&s|euJLxn76u=n(kE>*!',
    ]),
]  # fmt: skip
# Of abnormal_load, which kept powers finer and did not know days of rest: as five parts, and packed as a whole.
LOAD = [[
    'c-pm+PiPZC6vij<U{k0l#Na`5DD<GGvNW5akgNeAf%TA90t-D<JS;slVnw|)ha8Lu{skL|nrcO;V6~)FYY&As%^ZYnYHxv(gF#S=',
    'E%ab5B=gX3QX4_NI>WcW@6G$>?O``7wDSd#9CtCc^lh%m%JWO1_DuFPn|O$|VX(i}gK|7tj-L`2xAdBBYqoZqC-@<5Yn7lEPxjAM',
    'XeMpV<f^i@d0p|7J`zx;5gy|<5}N^4ztz9@sMEFJ86FGT8Y=XjE`MOmm7kocGPcSN-gxI2>$T{#H_Z+>#?IG_e?HDyN6!9xul=?y',
    'gV@LFsOM<0m=l(-{(rWx=E#w+sb3DzRHKWy{2`N#1pE-?<$LO+1*%Cm4a-5=MTX0($iATKvK!3O8~F_V%cygZNq#wmY!~heYnI%y',
    'fGGu>m{1B6Qq)2B=yM|n#&9DAe-i4&Bop~t$ShKZ`p^qu%46^)dQZRvX5EArR$lt*$H-Sd0<FV`z$>5^RJ{eLgZ5~FS+Ec6g-Y-q',
    '@D;cXZ9u!fa)RycF>(0MKSOk<?@mPNg2xE8SHcXwymB_Il)j_<O4Bp=(oUN(>YWaYw*9+ftIQQS(fXXKI_@l*U(VgPA5HxPhE8NR',
], [
    'c-otEl&Lsj!;##%j0_A1zH9^2*B2Mqa<xu%U|28{2wvJVU;%eFE}H{Xy1k7Z%w=Y15LxH`@RmJ8zz(_A*I(`7d^AwTfFB$@D9TxV',
    '=Yc&gc@|e705RMHAOf;L{MPKDS(;IrQIAEa1)oKl(RFhXAc@_84PcdNM&1@6UYgMkGZ6jQtk4uB>S*C%kp@)p#uUWgYWB?pBznQz',
    '#lpip%?QW?$~E*YaQ~acX>ZGQ-HrjsK6}Q;4ul(eLF_YNHUp4-_$!Bfwa7X<2C-iZl!M&go^cLO-`VXrJ&ECk-EaNqt^Orb|9|Rw',
    'cbem=mH6SO8tx_~tm4|@_cs3izr#+5i4h0{g@hOd8JUC_g@6FaXITB4Bb@ak>%j#FFZx_edSd-HY3|L7)^*nXoD0Gq_=wzEc5@QL',
    'hnxR7Ki^#S@h&G56BDDLAkYM$NkFr}6r&)}J8cY148IwUFsL)cG5lj_V_3%U9f+M6>KUvVR2bGWd}f%&aEswG!$Y7L6EhPCfdDfT',
    'GmJIm90Q}H>}mT4cd9u>4;}>ZWKQq*ejYp_ZPsc4c&n!u',
]]  # fmt: skip


@pytest.mark.parametrize(("case", "stored"), STORED)
def test_a_state_of_the_older_layout_is_the_same_in_the_new_one(case: int, stored: list[str]) -> None:
    name, build, series = OWN[case]
    readings = series()
    heard, loaded = build(), build()
    alarms(heard, readings[: len(readings) * 2 // 3])  # type: ignore[arg-type]
    loaded.load(msgspec.msgpack.decode(zlib.decompress(base64.b85decode("".join(stored)))))  # type: ignore[attr-defined]
    assert loaded.dump() == heard.dump(), name  # type: ignore[attr-defined]


@pytest.mark.parametrize("stored", LOAD)
def test_a_home_goes_on_from_what_it_took_before_days_of_rest_were_known(stored: list[str]) -> None:
    readings, known, before = power_series(), Neighbours(), (20_000, 0.25, 19_999, -0.5)
    heard, loaded = Load(FLAT), Load(FLAT, known)
    alarms(heard, readings[: len(readings) * 2 // 3])
    data = msgspec.msgpack.decode(zlib.decompress(base64.b85decode("".join(stored))))
    loaded.load([*data[:-1], [*data[-1][:3], before] if len(data) == 5 else before])
    assert known.spoken(0) == before
    known.leave(0)  # nobody is beside it
    assert loaded.arguments() == heard.arguments()
    for one, other in zip(heard.past, loaded.past, strict=True):
        assert len(one.days) == len(other.days)
        for a, b in zip(one.days, other.days, strict=True):
            assert abs(a.mean - b.mean) <= 1
            assert abs(a.least - b.least) <= 1
            assert not b.rest
    rest = readings[len(readings) * 2 // 3 :]
    found = alarms(heard, rest)
    assert found
    assert alarms(loaded, rest) == found


@pytest.mark.parametrize("size", [50, 110, 300, -1])
def test_a_load_cut_short_is_refused(size: int) -> None:
    older = msgspec.msgpack.decode(zlib.decompress(base64.b85decode("".join(LOAD[1]))))
    load = Load(FLAT)
    alarms(load, power_series()[:4000])
    for state, said in (older, load.dump()):
        with pytest.raises(Rejected):
            Load(FLAT).load([state[:size], said])


@pytest.mark.parametrize("case", OWN)
def test_bytes_of_another_detector_are_refused(case: object) -> None:
    _, build, _ = case  # type: ignore[misc]
    with pytest.raises(Rejected):
        build().load([b"\x07" * 11])
