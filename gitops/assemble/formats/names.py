"""The table of formats: which files each leaves, and the step that makes each (chain.py). Loads nothing.

Rules: names of formats and files are LinuxKit's (linuxkit build, moby/build, output.go).

    FORMATS["raw-efi"]            (("-efi.img", "efi.raw"),)
"""

KERNEL = (("-kernel", "kernel"), ("-cmdline", "cmdline"))

FORMATS = {
    "tar": ((".tar", "root.tar"),),
    "docker": ((".docker", "docker.tar"),),
    "kernel+initrd": (*KERNEL, ("-initrd.img", "initrd.img")),
    "tar-kernel-initrd": (("-initrd.tar", "initrd.tar"),),
    "kernel+squashfs": (*KERNEL, ("-squashfs.img", "squashfs")),
    "kernel+erofs": (*KERNEL, ("-erofs.img", "erofs")),
    "kernel+iso": (*KERNEL, (".iso", "iso")),
    "iso-bios": ((".iso", "bios.iso"),),
    "iso-efi": (("-efi.iso", "efi.iso"),),
    "raw-bios": (("-bios.img", "bios.raw"),),
    "raw-efi": (("-efi.img", "efi.raw"),),
    "qcow2-bios": ((".qcow2", "bios.qcow2"),),
    "qcow2-efi": (("-efi.qcow2", "efi.qcow2"),),
    "vmdk": ((".vmdk", "bios.vmdk"),),
    "vhd": ((".vhd", "bios.vhd"),),
    "dynamic-vhd": ((".vhd", "bios.dynamic.vhd"),),
    "iso-efi-initrd": (("-efi-initrd.iso", "efi.iso"),),
    "aws": ((".raw", "bios.whole.raw"),),
    "gcp": ((".img.tar.gz", "bios.gcp"),),
}
"""Format -> what follows NAME in a file's name, and the step that makes the file."""

STREAMED = ("tar", "docker")
"""Formats that may go to stdout: one file, LinuxKit's streamable ones."""
EARLY = frozenset(("kernel", "cmdline"))
"""Files that a spec without a kernel has none of; LinuxKit leaves them out, too."""
TOOLS = frozenset(FORMATS) - {"tar", "docker", "kernel+initrd", "tar-kernel-initrd"}
"""Formats in which a program of pkg/media-tools has a part."""
