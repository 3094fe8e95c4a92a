# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Encoder options for HDR metadata: mastering display and content light level."""

from fractions import Fraction

from .color import ColorInfo, MasteringDisplay

# Units of SMPTE ST 2086 as H.264 and H.265 code them; AV1's encoder takes decimal numbers.
_CHROMATICITY, _LUMINANCE = 50000, 10000
# The encoder's option for its own parameters, and the names of the two among them.
_PARAMS = {
    'libx264': ('x264-params', 'mastering-display', 'cll'),
    'libx265': ('x265-params', 'master-display', 'max-cll'),
    'libsvtav1': ('svtav1-params', 'mastering-display', 'content-light'),
}


def hdr_options(color: ColorInfo, codec: str) -> tuple[dict[str, str], list[str]]:
    """Choose options for what is known of the display and the light level.

    Args:
        color (ColorInfo): The video's colour.
        codec (str): Name of the encoder.

    Returns:
        tuple[dict[str, str], list[str]]: Options, and what this encoder can't write down.
    """
    said = {}
    if color.mastering_display is not None:
        said['mastering display'] = _display(color.mastering_display, codec == 'libsvtav1')
    if color.light_level is not None:
        light = color.light_level
        said['content light level'] = f'{light.max_content},{light.max_average}'
    if not said or codec not in _PARAMS:
        return {}, [f'{what} of the HDR video: {codec} has no place for it' for what in said]
    option, *names = _PARAMS[codec]
    keys = dict(zip(('mastering display', 'content light level'), names, strict=True))
    return {option: ':'.join(f'{keys[what]}={value}' for what, value in said.items())}, []


def _display(display: MasteringDisplay, decimal: bool) -> str:
    def number(value: Fraction, unit: int) -> str:
        return f'{float(value):.6g}' if decimal else str(round(value * unit))

    def pair(name: str, x: Fraction, y: Fraction) -> str:
        return f'{name}({number(x, _CHROMATICITY)},{number(y, _CHROMATICITY)})'

    red, green, blue = display.primaries
    points = (('G', green), ('B', blue), ('R', red), ('WP', display.white_point))
    luminance = ','.join(
        number(value, _LUMINANCE) for value in (display.max_luminance, display.min_luminance)
    )
    return ''.join(pair(name, *point) for name, point in points) + f'L({luminance})'
