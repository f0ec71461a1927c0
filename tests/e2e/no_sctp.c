/* For a test machine whose kernel has no SCTP: osmo-msc always opens its SGs interface (towards an LTE core, which
 * nobody uses here) and ends when it cannot. Preloaded, SCTP sockets become TCP sockets that know SCTP's options. */

enum { SOCKET = 41, SETSOCKOPT = 54, GETSOCKOPT = 55, IPPROTO_SCTP = 132 };

static long call(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result < 0 ? -1 : result;
}

int socket(int domain, int type, int protocol)
{
	return call(SOCKET, domain, type, protocol == IPPROTO_SCTP ? 0 : protocol, 0, 0);
}

int setsockopt(int fd, int level, int name, const void *value, unsigned size)
{
	return level == IPPROTO_SCTP ? 0 : call(SETSOCKOPT, fd, level, name, (long)value, size);
}

int getsockopt(int fd, int level, int name, void *value, unsigned *size)
{
	return level == IPPROTO_SCTP ? 0 : call(GETSOCKOPT, fd, level, name, (long)value, (long)size);
}
