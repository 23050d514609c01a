"""Puts libdponnx into the package: the one that DPONNX_LIBRARY names, else one built from the checkout."""

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

CHECKOUT = Path(__file__).resolve().parent.parent
# What every Linux with the same or a newer C library has.
SYSTEM = ("libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libgcc_s.so", "libstdc++.so", "ld-linux")


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:
            library()
            return
        folder = Path(self.build_lib, "dponnx", "lib")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(library(), folder / "libdponnx.so")
        for path in needed(folder / "libdponnx.so"):
            shutil.copy(path, folder)


def library() -> Path:
    if stated := os.environ.get("DPONNX_LIBRARY"):
        return Path(stated)
    subprocess.run([CHECKOUT / "scripts" / "library.sh"], check=True)
    return CHECKOUT / ".build" / "library" / "libdponnx.so"


def needed(path: Path) -> list[Path]:
    """Libraries that the package brings along."""
    lines = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout.splitlines()
    found = [line.split() for line in lines if "=>" in line]
    return [Path(parts[2]) for parts in found if not parts[0].startswith(SYSTEM)]


class PlatformWheel(bdist_wheel):
    """A wheel for this platform and every Python 3: the library is called through ctypes."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


class PlatformDistribution(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(distclass=PlatformDistribution, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
