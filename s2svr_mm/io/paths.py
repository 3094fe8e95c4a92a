# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Endings of file names; they are hints only: a file is opened by its content."""

from pathlib import PurePath

IMAGE_SUFFIXES = frozenset(['.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp', '.ppm'])
IMAGE_SUFFIXES = IMAGE_SUFFIXES.union(['.pgm', '.jpe', '.jfif', '.jp2', '.gif', '.apng'])
VIDEO_SUFFIXES = frozenset(['.mp4', '.mov', '.m4v', '.mkv', '.webm', '.avi', '.mpg', '.mpeg'])
VIDEO_SUFFIXES = VIDEO_SUFFIXES.union(['.ts', '.m2ts', '.mts', '.vob', '.wmv', '.flv', '.3gp'])
VIDEO_SUFFIXES = VIDEO_SUFFIXES.union(['.y4m', '.264', '.h264', '.265', '.h265', '.hevc', '.mxf'])
YUV_SUFFIXES = frozenset(['.yuv'])


def suffix_of(path: str) -> str:
    """Return the lower-case ending of a file name, with its dot."""
    return PurePath(path).suffix.lower()
