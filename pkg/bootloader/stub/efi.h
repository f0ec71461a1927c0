/* What the stub needs of UEFI 2.10, and nothing else. Members that it never calls are `unused`: they keep the place. */
#pragma once
/* The compiler says what they are: no header of anybody is needed. */
typedef __UINT8_TYPE__ uint8_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __SIZE_TYPE__ size_t;
#define NULL ((void *)0)

#define EFIAPI __attribute__((ms_abi))
#define ERROR(code) (0x8000000000000000ull | (code))
#define SUCCESS 0ull
#define LOAD_ERROR ERROR(1)
#define INVALID_PARAMETER ERROR(2)
#define UNSUPPORTED ERROR(3)
#define BUFFER_TOO_SMALL ERROR(5)
#define OUT_OF_RESOURCES ERROR(9)
#define SECURITY_VIOLATION ERROR(26)

typedef uint64_t Status;
typedef void *Handle;
typedef struct { uint32_t a; uint16_t b, c; uint8_t d[8]; } Guid;
typedef void *unused;

/* 10.2: one node of a device path; the length is little-endian and not aligned. */
typedef struct { uint8_t type, subtype, length[2]; } Path;
enum { MEDIA = 4, HARD_DRIVE = 1, VENDOR_MEDIA = 3, FILE_PATH = 4, END = 0x7f };

/* 7.4: boot services. */
typedef struct {
	unused header[3], tpl[2];
	Status (EFIAPI *allocate_pages)(int how, int kind, size_t pages, uint64_t *address);
	Status (EFIAPI *free_pages)(uint64_t address, size_t pages);
	unused get_memory_map;
	Status (EFIAPI *allocate_pool)(int kind, size_t size, void **buffer);
	Status (EFIAPI *free_pool)(void *buffer);
	unused events[6];
	Status (EFIAPI *install_protocol)(Handle *handle, const Guid *guid, int kind, void *interface);
	unused reinstall_protocol;
	Status (EFIAPI *uninstall_protocol)(Handle handle, const Guid *guid, void *interface);
	Status (EFIAPI *handle_protocol)(Handle handle, const Guid *guid, void **interface);
	unused reserved, register_notify, locate_handle;
	Status (EFIAPI *locate_path)(const Guid *guid, const Path **path, Handle *handle);
	unused install_table;
	Status (EFIAPI *load_image)(int policy, Handle parent, const Path *path, const void *source, size_t size, Handle *handle);
	unused start_image;
	Status (EFIAPI *exit)(Handle image, Status status, size_t size, const uint16_t *data);
	Status (EFIAPI *unload_image)(Handle handle);
	unused exit_boot_services, monotonic_count, stall;
	Status (EFIAPI *set_watchdog)(size_t seconds, uint64_t code, size_t size, const uint16_t *data);
	unused connect[2], open_protocol[3], protocols_per_handle, locate_handle_buffer;
	Status (EFIAPI *locate_protocol)(const Guid *guid, void *registration, void **interface);
} BootServices;

/* 8.2: runtime services. */
typedef struct {
	unused header[3], time[4], address[2], get_variable, next_variable;
	Status (EFIAPI *set_variable)(const uint16_t *name, const Guid *vendor, uint32_t attributes, size_t size, const void *data);
	unused counter;
	void (EFIAPI *reset)(int kind, Status status, size_t size, const void *data);
} RuntimeServices;

/* 12.4 */
typedef struct Output {
	unused reset;
	Status (EFIAPI *write)(struct Output *self, const uint16_t *text);
} Output;

/* 4.3 */
typedef struct {
	unused header[3], vendor, revision, in_handle, in, out_handle;
	Output *out;
	unused error_handle, error;
	RuntimeServices *runtime;
	BootServices *boot;
} SystemTable;

/* 9.1 */
typedef struct {
	uint32_t revision;
	Handle parent;
	SystemTable *system;
	Handle device;
	const Path *file;
	unused reserved;
	uint32_t options_size;
	void *options;
	void *base;
	uint64_t size;
	int code_kind, data_kind;
	unused unload;
} LoadedImage;

/* 13.2 */
typedef struct LoadFile2 {
	Status (EFIAPI *load)(struct LoadFile2 *self, const Path *path, uint8_t policy, size_t *size, void *buffer);
} LoadFile2;

/* 7.6 */
typedef struct MemoryAttributes {
	unused get, set;
	Status (EFIAPI *clear)(struct MemoryAttributes *self, uint64_t base, uint64_t length, uint64_t attributes);
} MemoryAttributes;

enum { COLD = 0 };
enum { ANY_PAGES = 0, LOADER_CODE = 1, LOADER_DATA = 2 };
#define FOR_BOOT_AND_RUNTIME 6
#define NOT_EXECUTABLE 0x4000ull
#define READ_ONLY 0x20000ull

static const Guid LOADED_IMAGE = {0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const Guid DEVICE_PATH = {0x09576e91, 0x6d3f, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const Guid LOAD_FILE2 = {0x4006c0c1, 0xfcb3, 0x403e, {0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d}};
static const Guid MEMORY_ATTRIBUTES = {0xf4560cf6, 0x40ec, 0x4b4a, {0xa1, 0x92, 0xbf, 0x1d, 0x57, 0xd0, 0xb1, 0x89}};
/* systemd.io/BOOT_LOADER_INTERFACE: the vendor of the Loader* and Stub* variables. */
static const Guid LOADER = {0x4a67b082, 0x0a4c, 0x41cf, {0xb6, 0xc7, 0x44, 0x0b, 0x29, 0xbb, 0x8c, 0x4f}};
