"""What devices of real machines call themselves, what drives them, and what a kernel package has.

The aliases are what the kernel writes into `modalias` for a device (its Documentation/ABI/testing/sysfs-bus-* and
scripts/mod/file2alias.c); numbers from the PCI and USB ids that the vendors gave.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from gitops.assemble.tars import files_of

PCI = "pci:v0000{}d0000{}sv00001028sd00000001bc{}sc{}i{}"
USB = "usb:v{}p{}d0001dc00dsc00dp00ic{}in00"
DISKS = {
    "AHCI": (PCI.format("8086", "A352", "01", "06", "01"), "ahci"),
    "IDE": (PCI.format("8086", "7010", "01", "01", "80"), "ata_piix"),
    "NVMe": (PCI.format("144D", "A808", "01", "08", "02"), "nvme"),
    "Intel VMD": (PCI.format("8086", "9A0B", "01", "04", "00"), "vmd"),
    "SAS3008": (PCI.format("1000", "0097", "01", "07", "00"), "mpt3sas"),
    "MegaRAID 3108": (PCI.format("1000", "005D", "01", "04", "00"), "megaraid_sas"),
    "Smart Array P408": (PCI.format("9005", "028F", "01", "07", "00"), "smartpqi"),
    "SD on PCI": (PCI.format("8086", "0F16", "08", "05", "01"), "sdhci_pci"),
    "eMMC by ACPI": ("acpi:80860F14:PNP0D40:", "sdhci_acpi"),
    "USB 3": (PCI.format("8086", "A36D", "0C", "03", "30"), "xhci_pci"),
    "USB 2": (PCI.format("1022", "7808", "0C", "03", "20"), "ehci_pci"),
    "USB stick": (USB.format("0781", "5567", "08isc06ip50"), "usb_storage"),
    "USB disk by UAS": (USB.format("174C", "55AA", "08isc06ip62"), "uas"),
    "virtio disk": ("virtio:d00000002v00001AF4", "virtio_blk"),
}
"""Needed before the root."""
CARDS = {
    "I210": (PCI.format("8086", "1533", "02", "00", "00"), "igb"),
    "I211, as APU2 has it": (PCI.format("8086", "1539", "02", "00", "00"), "igb"),
    "I219": (PCI.format("8086", "15BC", "02", "00", "00"), "e1000e"),
    "I225": (PCI.format("8086", "15F3", "02", "00", "00"), "igc"),
    "X550": (PCI.format("8086", "1563", "02", "00", "00"), "ixgbe"),
    "X710": (PCI.format("8086", "1572", "02", "00", "00"), "i40e"),
    "BCM5720": (PCI.format("14E4", "165F", "02", "00", "00"), "tg3"),
    "RTL8111": (PCI.format("10EC", "8168", "02", "00", "00"), "r8169"),
    "RTL8125": (PCI.format("10EC", "8125", "02", "00", "00"), "r8169"),
}
"""Needed for the repair of a layer."""
WATCHDOGS = {
    "Intel's": ("platform:iTCO_wdt", "iTCO_wdt"),
    "AMD's": (PCI.format("1022", "790B", "0C", "05", "00"), "sp5100_tco"),
    "ACPI's": ("platform:wdat_wdt", "wdat_wdt"),
}
LATER = {
    "E810": (PCI.format("8086", "1593", "02", "00", "00"), "ice"),
    "BCM57416": (PCI.format("14E4", "16D8", "02", "00", "00"), "bnxt_en"),
    "RTL8153": (USB.format("0BDA", "8153", "FFiscFFip00"), "r8152"),
    "AX88179": (USB.format("0B95", "1790", "FFiscFFip00"), "ax88179_178a"),
    "network of a phone": (USB.format("0000", "0000", "02isc06ip00"), "cdc_ether"),
    "FT232": (USB.format("0403", "6001", "FFiscFFipFF"), "ftdi_sio"),
    "PL2303": (USB.format("067B", "2303", "FFisc00ip00"), "pl2303"),
    "CP2102": (USB.format("10C4", "EA60", "FFisc00ip00"), "cp210x"),
    "CH340": (USB.format("1A86", "7523", "FFisc01ip02"), "ch341"),
    "modem of a class": (USB.format("0000", "0000", "02isc02ip01"), "cdc_acm"),
    "EC25's ports": (USB.format("2C7C", "0125", "FFisc00ip00"), "option"),
    "EC25's network": (USB.format("2C7C", "0125", "FFiscFFipFF").replace("in00", "in04"), "qmi_wwan"),
    "EM7455": (USB.format("1199", "9071", "FFiscFFipFF").replace("in00", "in02"), "qcserial"),
    "MBIM": (USB.format("0000", "0000", "02isc0Eip00"), "cdc_mbim"),
    "TPM 2.0": ("acpi:MSFT0101:", "tpm_crb"),
    "TPM of an LPC bus": ("acpi:PNP0C31:", "tpm_tis"),
    "IPMI": ("acpi:IPI0001:", "ipmi_si"),
    "SMBus": (PCI.format("8086", "A323", "0C", "05", "00"), "i2c_i801"),
}
"""Loaded from the root, by what the device says."""


@dataclass(frozen=True)
class Drivers:
    """What a kernel has: `modules` by name, `builtin` ones, and which alias leads to which driver."""

    modules: frozenset[str]
    builtin: frozenset[str]
    aliases: tuple[tuple[str, str], ...]

    def of(self, modalias: str) -> set[str]:
        """Whoever would be loaded for a device, as modprobe(8) does it, or is there already."""
        return {name for pattern, name in self.aliases if fnmatchcase(modalias, pattern)}

    def drives(self, name: str, modalias: str) -> bool:
        """Whether this driver gets that device. What is built in says nothing of its devices."""
        return name in self.builtin or name in self.of(modalias)


def plain(path: str) -> str:
    """A module's name: - and _ are the same to kmod."""
    return re.sub(r"\.ko(\.\w+)?$", "", path.rpartition("/")[2]).replace("-", "_")


def drivers(kernel_tar: Path) -> Drivers:
    """Of a kernel package (kmod: modules.dep, modules.builtin, modules.alias)."""
    wanted = ("modules.dep", "modules.builtin", "modules.alias")
    index = {
        path.rpartition("/")[2]: data.decode(errors="replace")
        for path, data in files_of(kernel_tar)
        if path.endswith(tuple(f"/{name}" for name in wanted))
    }
    modules = frozenset(plain(line.partition(":")[0]) for line in index["modules.dep"].splitlines())
    builtin = frozenset(map(plain, index["modules.builtin"].split()))
    aliases = re.findall(r"^alias (\S+) (\S+)$", index["modules.alias"], re.M)
    return Drivers(modules, builtin, tuple((alias, plain(name)) for alias, name in aliases))
