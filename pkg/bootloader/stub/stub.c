/* From the firmware to the kernel, with nothing but what is signed: the part of a UKI that runs.
 *
 * In: its own image, whose signature the firmware (or systemd-boot, by the firmware) has checked: .linux, .initrd and
 * .cmdline; one addon, release.addon.efi in the folder FILE.extra.d beside it (FILE without the count of tries), which
 * the firmware loads and checks. Out: the kernel runs, with `CMDLINE ADDON` as its arguments and this initrd.
 *
 * Rules:
 * - A kernel argument comes from .cmdline of the UKI or of that addon, and an addon's words all begin with `toweros.`.
 *   LoadOptions, SMBIOS strings, credentials, extensions, other addons and variables are never read.
 * - What was checked is what is used: sections are read where the firmware loaded them, no file is read twice.
 * - Nobody else gives the initrd: another one under its device path is taken away, or nothing is started.
 * - An addon that is missing or refused is left out, and said so: the initrd then starts nothing, tells why, and lets
 *   another entry go first. All else that fails before the kernel runs takes its initrd back and returns to the boot
 *   manager, which takes its next entry; a kernel that gives up restarts the machine, which counts as a try.
 * - Five minutes after the stub began, firmware that has not handed over to the kernel starts again.
 *
 * It is written for UEFI 2.10, the kernel's admin-guide/efi-stub and systemd.io/BOOT_LOADER_INTERFACE.
 */
#include "efi.h"

#define PAGE 4096
#define MAX_WORDS 4096   /* bytes of a command line; the kernel itself stops at 2048 */
#define MAX_PATH 512     /* characters of a file's path */
#define PATIENCE 300     /* seconds */
#define LAST(text) (sizeof(text) / sizeof(*text) - 1)

typedef struct { const uint8_t *data; size_t size; } Part;

static SystemTable *system;
static BootServices *boot;
static Part initrd;
static LoadFile2 initrd_file;
static Handle initrd_handle;

/* The compiler may ask for these wherever it likes. */
void *memcpy(void *to, const void *from, size_t size) {
	uint8_t *target = to;
	const uint8_t *source = from;
	for (size_t i = 0; i < size; i++)
		target[i] = source[i];
	return to;
}

void *memset(void *to, int value, size_t size) {
	uint8_t *target = to;
	for (size_t i = 0; i < size; i++)
		target[i] = (uint8_t)value;
	return to;
}

int memcmp(const void *one, const void *other, size_t size) {
	const uint8_t *a = one, *b = other;
	for (size_t i = 0; i < size; i++)
		if (a[i] != b[i])
			return a[i] - b[i];
	return 0;
}

/* Large things: the processor has its own loop. */
static void copy(void *to, const void *from, size_t size) {
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

static void clear(void *to, size_t size) {
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

static void say(const uint16_t *text) {
	if (!system->out)
		return;
	system->out->write(system->out, L"toweros: ");
	system->out->write(system->out, text);
	system->out->write(system->out, L"\r\n");
}

/* --- PE images, as they lie in memory or in a section: every number is believed within bounds alone --------------- */

static uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static uint32_t get32(const uint8_t *at) { return get16(at) | (uint32_t)get16(at + 2) << 16; }

/* Where the PE header starts; 0: this is no image for this machine. */
static size_t pe_header(Part image) {
	if (image.size < PAGE || image.data[0] != 'M' || image.data[1] != 'Z')
		return 0;
	size_t start = get32(image.data + 0x3c);
	if (start > image.size - 512 || memcmp(image.data + start, "PE\0\0", 4) || get16(image.data + start + 4) != 0x8664)
		return 0;
	return get16(image.data + start + 24) == 0x20b ? start : 0;
}

static const uint8_t *section_row(Part image, size_t index) {
	size_t start = pe_header(image);
	if (!start || index >= get16(image.data + start + 6))
		return NULL;
	size_t row = start + 24 + get16(image.data + start + 20) + 40 * index;
	return row + 40 <= image.size ? image.data + row : NULL;
}

/* A section of an image that the firmware loaded. */
static Part section(const LoadedImage *image, const char name[8]) {
	Part whole = {image->base, image->size};
	const uint8_t *row;
	for (size_t i = 0; (row = section_row(whole, i)); i++) {
		size_t size = get32(row + 8), address = get32(row + 12);
		if (!memcmp(row, name, 8) && address <= whole.size && size <= whole.size - address)
			return (Part){whole.data + address, size};
	}
	return (Part){NULL, 0};
}

/* --- the command line --------------------------------------------------------------------------------------------- */

static uint16_t line[MAX_WORDS + 1];
static size_t line_length;

/* Up to the zero byte; -1: not plain text. */
static long text_length(Part text) {
	for (size_t i = 0; i < text.size; i++) {
		if (!text.data[i])
			return (long)i;
		if (text.data[i] < ' ' || text.data[i] > '~')
			return -1;
	}
	return (long)text.size;
}

static int append(Part text) {
	long length = text_length(text);
	if (length < 0 || line_length + 1 + (size_t)length > MAX_WORDS)
		return 0;
	if (line_length)
		line[line_length++] = ' ';
	for (long i = 0; i < length; i++)
		line[line_length++] = text.data[i];
	line[line_length] = 0;
	return 1;
}

/* Does each word of an addon speak of a release, and not to the kernel? */
static int speaks_of_a_release(Part text) {
	static const char prefix[] = "toweros.";
	long length = text_length(text);
	for (long i = 0; i < length; i++) {
		int starts = text.data[i] != ' ' && (!i || text.data[i - 1] == ' ');
		if (text.data[i] == '"' ||
		    (starts && (length - i <= (long)LAST(prefix) || memcmp(text.data + i, prefix, LAST(prefix)))))
			return 0;
	}
	return length > 0;
}

/* --- the addon ---------------------------------------------------------------------------------------------------- */

static size_t node_length(const Path *node) { return get16(node->length); }
static const Path *next_node(const Path *node) { return (const Path *)((const uint8_t *)node + node_length(node)); }
static int more(const Path *node) { return node->type != END && node_length(node) >= sizeof(Path); }

/* The file that runs, as a text; 0: it comes from no file, or its path is too long. */
static size_t own_file(const LoadedImage *self, uint16_t text[MAX_PATH]) {
	size_t length = 0;
	for (const Path *node = self->file; node && more(node); node = next_node(node)) {
		if (node->type != MEDIA || node->subtype != FILE_PATH)
			return 0;
		const uint8_t *characters = (const uint8_t *)(node + 1);
		if (length && text[length - 1] != '\\')
			text[length++] = '\\';
		for (size_t i = 0; i + 1 < node_length(node) - sizeof(Path); i += 2) {
			uint16_t character = get16(characters + i);
			if (!character)
				break;
			if (length && character == '\\' && text[length - 1] == '\\')
				continue;
			if (length >= MAX_PATH - 2)
				return 0;
			text[length++] = character;
		}
	}
	text[length] = 0;
	return length;
}

static int is_digit(uint16_t character) { return character >= '0' && character <= '9'; }

/* Where the count of tries begins (`+3`, `+2-1` before `.efi`), and how long it is; 0: there is none. */
static size_t tries(const uint16_t *text, size_t length, size_t *start) {
	size_t end = length < 4 ? 0 : length - 4, i = end;
	while (i && is_digit(text[i - 1]))
		i--;
	if (i < end && i && text[i - 1] == '-')
		for (i--; i && is_digit(text[i - 1]); i--)
			;
	if (!i || i == end || text[i - 1] != '+' || !is_digit(text[i]))
		return 0;
	*start = i - 1;
	return end - *start;
}

/* The device path of the addon of this very file; NULL: there can be none. */
static Path *addon_path(const LoadedImage *self) {
	static const uint16_t suffix[] = L".extra.d\\release.addon.efi";
	static uint16_t text[MAX_PATH + LAST(suffix) + 1];
	const Path *device;
	size_t length = own_file(self, text), start, before = 0;
	if (!length || boot->handle_protocol(self->device, &DEVICE_PATH, (void **)&device))
		return NULL;
	size_t count = tries(text, length, &start);
	if (count) {
		for (size_t i = start; i + count < length; i++)
			text[i] = text[i + count];
		length -= count;
	}
	for (size_t i = 0; i <= LAST(suffix); i++)
		text[length + i] = suffix[i];
	length += LAST(suffix) + 1;
	for (const Path *node = device; more(node); node = next_node(node))
		before += node_length(node);
	uint8_t *path;
	size_t file = sizeof(Path) + 2 * length;
	if (boot->allocate_pool(LOADER_DATA, before + file + sizeof(Path), (void **)&path))
		return NULL;
	copy(path, device, before);
	*(Path *)(path + before) = (Path){MEDIA, FILE_PATH, {(uint8_t)file, (uint8_t)(file >> 8)}};
	copy(path + before + sizeof(Path), text, 2 * length);
	*(Path *)(path + before + file) = (Path){END, 0xff, {sizeof(Path), 0}};
	return (Path *)path;
}

/* Under Secure Boot only a signed file gets as far as to be an image. */
static void take_addon(Handle self_handle, const LoadedImage *self) {
	Path *path = addon_path(self);
	Handle handle = NULL;
	LoadedImage *image;
	Status status = path ? boot->load_image(0, self_handle, path, NULL, 0, &handle) : UNSUPPORTED;
	if (status) {
		say(status == SECURITY_VIOLATION || status == ERROR(15) ? L"the firmware refused the release's addon"
		                                                       : L"the release's addon is not there");
		if (status == SECURITY_VIOLATION && handle)
			boot->unload_image(handle);
		return;
	}
	if (boot->handle_protocol(handle, &LOADED_IMAGE, (void **)&image) || section(image, ".linux\0").data ||
	    !speaks_of_a_release(section(image, ".cmdline")) || !append(section(image, ".cmdline")))
		say(L"the release's addon is none");
	boot->unload_image(handle);
	boot->free_pool(path);
}

/* --- what is left for the system ------------------------------------------------------------------------------------ */

static void set(const uint16_t *name, const uint16_t *value) {
	size_t length = 0;
	while (value[length])
		length++;
	/* One that was there before, with other attributes, would stay. */
	system->runtime->set_variable(name, &LOADER, 0, 0, NULL);
	system->runtime->set_variable(name, &LOADER, FOR_BOOT_AND_RUNTIME, 2 * (length + 1), value);
}

static uint16_t *hex(uint16_t *to, const uint8_t *from, const char *order) {
	static const char digits[] = "0123456789abcdef";
	for (; *order; order++) {
		if (*order == '-') {
			*to++ = '-';
			continue;
		}
		uint8_t byte = from[*order >= 'a' ? *order - 'a' + 10 : *order - '0'];
		*to++ = digits[byte >> 4];
		*to++ = digits[byte & 15];
	}
	return to;
}

static void leave_word(const LoadedImage *self) {
	static uint16_t file[MAX_PATH], partition[40];
	const Path *node;
	set(L"StubInfo", L"toweros-stub 1");
	if (own_file(self, file))
		set(L"StubImageIdentifier", file);
	if (boot->handle_protocol(self->device, &DEVICE_PATH, (void **)&node))
		return;
	for (; more(node); node = next_node(node)) {
		const uint8_t *drive = (const uint8_t *)node;
		/* 10.3.5.1: the signature at 24, its type (2: a GUID) at 41. */
		if (node->type == MEDIA && node->subtype == HARD_DRIVE && node_length(node) >= 42 && drive[41] == 2) {
			*hex(partition, drive + 24, "3210-54-76-89-abcdef") = 0;
			set(L"StubDevicePartUUID", partition);
		}
	}
}

/* --- the initrd: the kernel asks for it under a device path of its own (admin-guide/efi-stub) ---------------------- */

static const struct { Path vendor; Guid guid; Path end; } INITRD_PATH = {
	{MEDIA, VENDOR_MEDIA, {20, 0}},
	{0x5568e427, 0x68fc, 0x4f3d, {0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68}},
	{END, 0xff, {4, 0}},
};

static Status EFIAPI load_initrd(LoadFile2 *self, const Path *path, uint8_t policy, size_t *size, void *buffer) {
	if (self != &initrd_file || !path || !size)
		return INVALID_PARAMETER;
	if (policy)
		return UNSUPPORTED;
	if (!buffer || *size < initrd.size) {
		*size = initrd.size;
		return BUFFER_TOO_SMALL;
	}
	copy(buffer, initrd.data, initrd.size);
	*size = initrd.size;
	return SUCCESS;
}

/* Who answers for the initrd now; NULL: nobody. */
static Handle initrd_giver(void) {
	const Path *rest = &INITRD_PATH.vendor;
	Handle handle;
	return !boot->locate_path(&LOAD_FILE2, &rest, &handle) && rest->type == END ? handle : NULL;
}

static Status give_initrd(void) {
	Handle other;
	void *path, *file;
	for (int i = 0; i < 16 && (other = initrd_giver()); i++) {
		say(L"an initrd of somebody else is taken away");
		if (boot->handle_protocol(other, &LOAD_FILE2, &file) || boot->uninstall_protocol(other, &LOAD_FILE2, file))
			return SECURITY_VIOLATION;
		if (!boot->handle_protocol(other, &DEVICE_PATH, &path))
			boot->uninstall_protocol(other, &DEVICE_PATH, path);
	}
	initrd_file.load = load_initrd;
	Status status = boot->install_protocol(&initrd_handle, &DEVICE_PATH, 0, (void *)&INITRD_PATH);
	if (!status)
		status = boot->install_protocol(&initrd_handle, &LOAD_FILE2, 0, &initrd_file);
	return status ? status : initrd_giver() == initrd_handle ? SUCCESS : SECURITY_VIOLATION;
}

/* Whoever starts next would find an initrd that lies in freed memory, and systemd's stub would not start at all. */
static void take_initrd_back(void) {
	if (!initrd_handle)
		return;
	boot->uninstall_protocol(initrd_handle, &LOAD_FILE2, &initrd_file);
	boot->uninstall_protocol(initrd_handle, &DEVICE_PATH, (void *)&INITRD_PATH);
	initrd_handle = NULL;
}

/* --- the kernel --------------------------------------------------------------------------------------------------- */

typedef Status (EFIAPI *Entry)(Handle image, SystemTable *system);

/* Its sections to where they belong. It is position independent and part of what was checked: nobody else's loader is
 * asked, which would want a signature of its own. */
static Status place(Part linux, uint8_t **base, size_t *size, Entry *entry) {
	size_t start = pe_header(linux), headers;
	MemoryAttributes *attributes;
	const uint8_t *row;
	uint64_t address;
	if (!start)
		return LOAD_ERROR;
	*size = get32(linux.data + start + 80);
	headers = get32(linux.data + start + 84);
	size_t begin = get32(linux.data + start + 40), pages = (*size + PAGE - 1) / PAGE;
	if (headers > linux.size || headers > *size || begin >= *size || *size > 1u << 30)
		return LOAD_ERROR;
	if (boot->allocate_pages(ANY_PAGES, LOADER_CODE, pages, &address))
		return OUT_OF_RESOURCES;
	*base = (uint8_t *)address;
	if (boot->locate_protocol(&MEMORY_ATTRIBUTES, NULL, (void **)&attributes))
		attributes = NULL;
	if (attributes)
		attributes->clear(attributes, address, pages * PAGE, NOT_EXECUTABLE | READ_ONLY);
	clear(*base, pages * PAGE);
	copy(*base, linux.data, headers);
	for (size_t i = 0; (row = section_row(linux, i)); i++) {
		size_t length = get32(row + 8), to = get32(row + 12), raw = get32(row + 16), from = get32(row + 20);
		if (raw > length)
			raw = length;
		if (to > *size || length > *size - to || from > linux.size || raw > linux.size - from)
			return LOAD_ERROR;
		copy(*base + to, linux.data + from, raw);
	}
	*entry = (Entry)(*base + begin);
	return SUCCESS;
}

/* What a kernel did before it gave up nobody knows, and the watchdog ends with the image: all begins anew. */
static Status EFIAPI give_up(Handle image, Status status, size_t size, const uint16_t *data) {
	(void)image, (void)size, (void)data;
	say(L"the kernel gave up");
	take_initrd_back();
	system->runtime->reset(COLD, status, 0, NULL);
	return status;
}

static Status start(Handle handle, LoadedImage *self) {
	Part cmdline = section(self, ".cmdline"), linux = section(self, ".linux\0");
	Entry entry;
	uint8_t *base;
	size_t size;
	initrd = section(self, ".initrd\0");
	if (!cmdline.data || !linux.data || !initrd.data || !append(cmdline)) {
		say(L"this image has no kernel, no initrd or no command line");
		return LOAD_ERROR;
	}
	take_addon(handle, self);
	leave_word(self);
	Status status = give_initrd();
	if (status) {
		say(L"the initrd cannot be handed over");
		take_initrd_back();
		return status;
	}
	status = place(linux, &base, &size, &entry);
	if (status) {
		say(L"the kernel cannot be loaded");
		take_initrd_back();
		return status;
	}
	/* The kernel reads its arguments and where it lies out of the image's protocol, and leaves by its handle. */
	self->options = line;
	self->options_size = (uint32_t)(2 * (line_length + 1));
	self->base = base;
	self->size = size;
	/* It may leave by its handle, which is ours: Exit would never come back here. */
	boot->exit = give_up;
	return give_up(handle, entry(handle, system), 0, NULL);
}

Status EFIAPI efi_main(Handle handle, SystemTable *table) {
	LoadedImage *self;
	system = table;
	boot = table->boot;
	boot->set_watchdog(PATIENCE, 0x10000, 0, NULL);
	Status status = boot->handle_protocol(handle, &LOADED_IMAGE, (void **)&self);
	return status ? status : start(handle, self);
}
