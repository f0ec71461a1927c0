"""A kernel of a few hundred bytes: it writes its command line to the serial port, then does what its initrd says.

The initrd's first byte: `G` powers the machine off by QEMU's isa-debug-exit (port 0xf4), anything else resets it, as a
kernel does that does not come up. (Linux' boot protocol, 32-bit entry: Documentation/arch/x86/boot.rst.)
"""

import struct

CMD_LINE, RAMDISK = 0x228, 0x218
"""In boot_params, which ESI points to."""
CODE = bytes.fromhex(
    "fc"  # cld
    "8bae18020000"  # mov ebp, [esi + RAMDISK]
    "8bb628020000"  # mov esi, [esi + CMD_LINE]
    "66bafd03"  # next: mov dx, 0x3fd
    "ec"  # wait: in al, dx
    "a820"  # test al, 0x20
    "74fb"  # jz wait
    "66baf803"  # mov dx, 0x3f8
    "ac"  # lodsb
    "84c0"  # test al, al
    "7403"  # jz end
    "ee"  # out dx, al
    "ebeb"  # jmp next
    "b00a"  # end: mov al, 10
    "ee"  # out dx, al
    "807d0047"  # cmp byte [ebp], 'G'
    "7508"  # jne reset
    "66baf400"  # mov dx, 0xf4
    "b000"  # mov al, 0
    "ee"  # out dx, al
    "f4"  # hlt
    "b0fe"  # reset: mov al, 0xfe
    "e664"  # out 0x64, al
    "ebfc"  # jmp reset + 2
)


def tiny_kernel() -> bytes:
    """A bzImage."""
    head = bytearray(1024)
    head[0x1F1] = 1  # setup_sects
    struct.pack_into("<I", head, 0x1F4, len(CODE.ljust(512, b"\xf4")) // 16)  # syssize
    struct.pack_into("<H", head, 0x1FE, 0xAA55)
    head[0x200:0x202] = b"\xeb\x6a"  # a jump over the header, which ends at 0x26c
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, 0x20F)
    head[0x211] = 1  # loadflags: LOADED_HIGH
    struct.pack_into("<I", head, 0x214, 0x100000)  # code32_start
    struct.pack_into("<I", head, 0x22C, 0x7FFFFFFF)  # initrd_addr_max
    struct.pack_into("<I", head, 0x230, 0x1000)  # kernel_alignment
    head[0x234] = 1  # relocatable_kernel
    head[0x235] = 12  # min_alignment
    struct.pack_into("<I", head, 0x238, 2047)  # cmdline_size
    struct.pack_into("<Q", head, 0x258, 0x100000)  # pref_address
    struct.pack_into("<I", head, 0x260, 0x10000)  # init_size
    return bytes(head) + CODE.ljust(512, b"\xf4")
