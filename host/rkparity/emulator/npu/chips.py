"""The NPUs by chip: what the kernel driver says of them, and where their commands differ. One table."""

from __future__ import annotations

from dataclasses import dataclass

from rkparity.errors import UsageError


@dataclass(frozen=True)
class Chip:
    """`hardware_version`: the driver's answer to action 0. `compatible`: the device tree's.

    `conversion` is the register (in the block of input features) whose bit 0 is clear when the NPU converts pixels
    itself; None where it is not known.
    """

    name: str
    hardware_version: int
    compatible: tuple[str, ...]
    conversion: int | None = 0x104C
    through_drm: bool = True


# Hardware versions: docs/npu.md. The library names the chip by the device tree's last entry.
_CHIPS = {
    chip.name: chip
    for chip in (
        Chip("rk3588", 0x46495245, ("rockchip,rk3588-evb1-lp4-v10", "rockchip,rk3588")),
        Chip("rk3566", 0x0, ("rockchip,rk3566-evb2-lp4x-v10", "rockchip,rk3566")),
        Chip("rk3568", 0x0, ("rockchip,rk3568-evb1-ddr4-v10", "rockchip,rk3568")),
        Chip("rk3562", 0x54524549, ("rockchip,rk3562-evb1-lp4x-v10", "rockchip,rk3562"), conversion=None),
    )
}

INPUT_BLOCK = 0x0201


def chip_named(name: str) -> Chip:
    """The chip of a model's platform; UsageError when the stand-in NPU is not one of it."""
    chip = _CHIPS.get(name)
    if chip is None:
        raise UsageError(
            f"the stand-in NPU cannot be a {name}", hint="it can be one of " + ", ".join(sorted(_CHIPS)) + " today"
        )
    return chip
