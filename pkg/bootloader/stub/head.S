/* The headers of a PE32+ image for UEFI on x86-64 (Microsoft's PE format specification; UEFI 2.10, 2.1.1), written out,
 * so that no linker's version decides over their bytes. Offsets in the file and in memory are the same: one page of
 * headers, in which the assembler finds room for the sections of a UKI, then .text, .data and .reloc.
 */
	.section .head, "a"
	.globl image
image:
	.ascii "MZ"
	.fill 58, 1, 0
	.long pe_header - image
pe_header:
	.ascii "PE\0\0"
	.short 0x8664                           /* Machine: x86-64 */
	.short 3                                /* NumberOfSections */
	.long 0, 0, 0                           /* no time, no symbols */
	.short section_table - optional_header
	.short 0x020e                           /* executable, no line numbers, no symbols, large addresses */
optional_header:
	.short 0x20b                            /* PE32+ */
	.byte 0, 0
	.long text_size, data_size, 0
	.long efi_main - image
	.long text - image
	.quad 0                                 /* ImageBase: anywhere, nothing in here is absolute */
	.long 4096, 4096                        /* SectionAlignment, FileAlignment */
	.short 0, 0, 0, 0, 1, 0
	.long 0
	.long end - image                       /* SizeOfImage */
	.long text - image                      /* SizeOfHeaders */
	.long 0                                 /* CheckSum: the signer's */
	.short 10                               /* Subsystem: EFI application */
	.short 0x160                            /* anywhere, with high addresses, and no data is ever run */
	.quad 0, 0, 0, 0
	.long 0, 16                             /* the number of data directories */
	.quad 0, 0, 0, 0, 0
	.long reloc - image, 12
	.quad 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
section_table:
	.ascii ".text\0\0\0"
	.long text_size, text - image, text_size, text - image, 0, 0, 0, 0x60000020
	.ascii ".data\0\0\0"
	.long data_size, data - image, data_size, data - image, 0, 0, 0, 0xc0000040
	.ascii ".reloc\0\0"
	.long 12, reloc - image, 4096, reloc - image, 0, 0, 0, 0x42000040

	/* One block whose two entries (type 0, ABSOLUTE) move nothing: without a table firmware takes an image for one that
	 * cannot be moved. */
	.section .reloc, "a"
	.long 0, 12, 0x00010000
	.section .note.GNU-stack, "", @progbits
