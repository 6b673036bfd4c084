"""States as detectors stored them before each was packed as a whole: they go on from them."""

from __future__ import annotations

import base64
import zlib

import msgspec
import pytest

from dutyroom.errors import Rejected

from .series import alarms
from .test_contract import CASES

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
    (4, [
        'c-pm+PiPZC6vij<U{k0l#Na`5DD<GGvNW5akgNeAf%TA90t-D<JS;slVnw|)ha8Lu{skL|nrcO;V6~)FYY&As%^ZYnYHxv(gF#S=',
        'E%ab5B=gX3QX4_NI>WcW@6G$>?O``7wDSd#9CtCc^lh%m%JWO1_DuFPn|O$|VX(i}gK|7tj-L`2xAdBBYqoZqC-@<5Yn7lEPxjAM',
        'XeMpV<f^i@d0p|7J`zx;5gy|<5}N^4ztz9@sMEFJ86FGT8Y=XjE`MOmm7kocGPcSN-gxI2>$T{#H_Z+>#?IG_e?HDyN6!9xul=?y',
        'gV@LFsOM<0m=l(-{(rWx=E#w+sb3DzRHKWy{2`N#1pE-?<$LO+1*%Cm4a-5=MTX0($iATKvK!3O8~F_V%cygZNq#wmY!~heYnI%y',
        'fGGu>m{1B6Qq)2B=yM|n#&9DAe-i4&Bop~t$ShKZ`p^qu%46^)dQZRvX5EArR$lt*$H-Sd0<FV`z$>5^RJ{eLgZ5~FS+Ec6g-Y-q',
        '@D;cXZ9u!fa)RycF>(0MKSOk<?@mPNg2xE8SHcXwymB_Il)j_<O4Bp=(oUN(>YWaYw*9+ftIQQS(fXXKI_@l*U(VgPA5HxPhE8NR',
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


@pytest.mark.parametrize(("case", "stored"), STORED)
def test_a_state_of_the_older_layout_is_the_same_in_the_new_one(case: int, stored: list[str]) -> None:
    name, build, series = OWN[case]
    readings = series()
    heard, loaded = build(), build()
    alarms(heard, readings[: len(readings) * 2 // 3])  # type: ignore[arg-type]
    loaded.load(msgspec.msgpack.decode(zlib.decompress(base64.b85decode("".join(stored)))))  # type: ignore[attr-defined]
    assert loaded.dump() == heard.dump(), name  # type: ignore[attr-defined]


@pytest.mark.parametrize("case", OWN)
def test_bytes_of_another_detector_are_refused(case: object) -> None:
    _, build, _ = case  # type: ignore[misc]
    with pytest.raises(Rejected):
        build().load([b"\x07" * 11])
