/* SPDX-License-Identifier: MIT */
#include "util/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/calls.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * Landlock keeps files from being written, rather than a mount namespace: it needs no privileges
 * and no user namespace, so that it holds in containers, too, and a template's RAM can still get a
 * second name, which a link between two mounts cannot.
 *
 * A namespace takes the kernel longer to make than a machine may take to fork. One network
 * namespace is therefore made for all confined processes, by a child: who made it holds it by a
 * descriptor, and the others join it. Where that needs privileges, a user namespace owns it.
 */

/* linux/landlock.h, as of 6.12: that of the host that compiles may be older. */
#define LANDLOCK_CREATE_RULESET_VERSION (1u << 0)
#define LANDLOCK_RULE_PATH_BENEATH      1

#define FS_WRITE_FILE    (UINT64_C(1) << 1)
#define FS_REMOVE_DIR    (UINT64_C(1) << 4)
#define FS_REMOVE_FILE   (UINT64_C(1) << 5)
#define FS_MAKE_CHAR     (UINT64_C(1) << 6)
#define FS_MAKE_DIR      (UINT64_C(1) << 7)
#define FS_MAKE_REG      (UINT64_C(1) << 8)
#define FS_MAKE_SOCK     (UINT64_C(1) << 9)
#define FS_MAKE_FIFO     (UINT64_C(1) << 10)
#define FS_MAKE_BLOCK    (UINT64_C(1) << 11)
#define FS_MAKE_SYM      (UINT64_C(1) << 12)
#define FS_REFER         (UINT64_C(1) << 13) /* version 2 */
#define FS_TRUNCATE      (UINT64_C(1) << 14) /* version 3 */
#define SCOPE_SOCKET     (UINT64_C(1) << 0)  /* version 6: abstract UNIX sockets of others */
#define SCOPE_SIGNAL     (UINT64_C(1) << 1)  /* version 6: signals to others */
#define VERSION_REFER    2
#define VERSION_TRUNCATE 3
#define VERSION_SCOPE    6

#define FS_OF_FILES (FS_WRITE_FILE | FS_TRUNCATE) /* of a rule for one file */
#define FS_WRITE                                                                                   \
	(FS_OF_FILES | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_CHAR | FS_MAKE_DIR | FS_MAKE_REG | \
	 FS_MAKE_SOCK | FS_MAKE_FIFO | FS_MAKE_BLOCK | FS_MAKE_SYM | FS_REFER)

struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

static const struct {
	enum kt_confine_part part;
	const char *name;
} names[] = {
	{ KT_CONFINE_PRIVILEGES, "privileges" },
	{ KT_CONFINE_CALLS, "calls" },
	{ KT_CONFINE_FILES, "files" },
	{ KT_CONFINE_NETWORK, "network" },
};

/* ---- What the host can do ---- */

/* A process may map itself, and no group, into a user namespace of its own. */
static int make_user_namespace(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	(void)kt_file_write("/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (kt_file_write("/proc/self/uid_map", map) < 0)
		return -EPERM;
	(void)snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return kt_file_write("/proc/self/gid_map", map);
}

/* In a child: tells whether there is a namespace, and then lives until @until ends. */
__attribute__((noreturn)) static void hold_namespaces(int tell, int until)
{
	char kind = 'n';

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0) {
		kind = 'u';
		if (make_user_namespace() < 0 || unshare(CLONE_NEWNET) < 0)
			_exit(1);
	}
	(void)!write(tell, &kind, 1);
	(void)!read(until, &kind, 1);
	_exit(0);
}

static int open_namespace(pid_t pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void open_namespaces(struct kt_confinement *confinement, pid_t pid, int told)
{
	char kind = 0;

	if (read(told, &kind, 1) != 1)
		return;
	confinement->net_fd = open_namespace(pid, "net");
	if (kind == 'u')
		confinement->user_fd = open_namespace(pid, "user");
	if (kind == 'u' && confinement->user_fd < 0)
		confinement->net_fd = kt_close(confinement->net_fd);
}

static void make_network(struct kt_confinement *confinement)
{
	int tell[2], until[2];
	pid_t pid;

	if (pipe2(tell, O_CLOEXEC) < 0)
		return;
	if (pipe2(until, O_CLOEXEC) == 0) {
		pid = fork();
		if (pid == 0) {
			(void)close(until[1]);
			hold_namespaces(tell[1], until[0]);
		}
		tell[1] = kt_close(tell[1]);
		if (pid > 0)
			open_namespaces(confinement, pid, tell[0]);
		(void)close(until[0]);
		(void)close(until[1]);
		while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	(void)close(tell[0]);
	(void)kt_close(tell[1]);
}

void kt_confinement_init(struct kt_confinement *ret)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	*ret = KT_CONFINEMENT_NULL;
	ret->parts = KT_CONFINE_PRIVILEGES;
	ret->landlock = version > 0 ? (int)version : 0;
	make_network(ret);
	if (kt_calls_can_refuse())
		ret->parts |= KT_CONFINE_CALLS;
	if (ret->landlock)
		ret->parts |= KT_CONFINE_FILES;
	if (ret->net_fd >= 0)
		ret->parts |= KT_CONFINE_NETWORK;
}

void kt_confinement_deinit(struct kt_confinement *confinement)
{
	confinement->user_fd = kt_close(confinement->user_fd);
	confinement->net_fd = kt_close(confinement->net_fd);
}

/* Appends the names of the parts in @parts. */
static void list_parts(unsigned int parts, char *text, size_t room)
{
	const char *comma = "";

	for (size_t i = 0; i < KT_ARRAY_LEN(names); i++) {
		size_t len = strlen(text);

		if (!(parts & names[i].part))
			continue;
		(void)snprintf(text + len, room - len, "%s%s", comma, names[i].name);
		comma = ", ";
	}
}

void kt_confinement_describe(const struct kt_confinement *confinement, char *text, size_t room)
{
	unsigned int all = 0;

	for (size_t i = 0; i < KT_ARRAY_LEN(names); i++)
		all |= names[i].part;
	*text = '\0';
	list_parts(confinement->parts, text, room);
	if (confinement->parts == all)
		return;
	(void)snprintf(text + strlen(text), room - strlen(text), "; this host does not allow: ");
	list_parts(all & ~confinement->parts, text, room);
}

/* ---- Files ---- */

static uint64_t handled(int version)
{
	uint64_t all = FS_WRITE;

	if (version < VERSION_REFER)
		all &= ~FS_REFER; /* renames between directories are refused then */
	if (version < VERSION_TRUNCATE)
		all &= ~FS_TRUNCATE;
	return all;
}

/* Landlock refuses rights of directories in a rule for a file. */
static int allow_fd(int ruleset, int fd, uint64_t rights, int version)
{
	struct path_beneath rule = { .allowed = rights & handled(version), .fd = fd };

	if (!rule.allowed)
		return 0;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
		return 0;
	if (errno == EINVAL && rights & ~FS_OF_FILES)
		return allow_fd(ruleset, fd, rights & FS_OF_FILES, version);
	/* EBADFD: a memfd, a pipe or the like, which Landlock leaves alone. */
	return errno == EBADFD ? 0 : -errno;
}

static int allow_path(int ruleset, const char *path, uint64_t rights, int version)
{
	KT_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);

	return fd < 0 ? 0 : allow_fd(ruleset, fd, rights, version);
}

static int allow_needs(int ruleset, const struct kt_confine_needs *needs, int version)
{
	int r = allow_path(ruleset, "/dev/null", FS_OF_FILES, version);

	for (size_t i = 0; r == 0 && i < needs->n_writable; i++)
		r = allow_path(ruleset, needs->writable[i], FS_WRITE, version);
	/* A name must not give more rights than the old one: the link is refused then. */
	if (r == 0 && needs->linked)
		r = allow_path(ruleset, needs->linked, FS_REFER | FS_OF_FILES, version);
	if (r == 0 && needs->writable_fd >= 0)
		r = allow_fd(ruleset, needs->writable_fd, FS_OF_FILES, version);
	return r;
}

/* Makes the ruleset while all that is needed can be opened. Returns its descriptor. */
static int make_ruleset(const struct kt_confinement *confinement,
			const struct kt_confine_needs *needs, struct kt_err *reterr)
{
	int version = confinement->landlock;
	struct ruleset attr = {
		.fs = handled(version),
		.scoped = version >= VERSION_SCOPE ? SCOPE_SOCKET | SCOPE_SIGNAL : 0,
	};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	int r = fd < 0 ? -errno : allow_needs(fd, needs, version);

	if (r == 0)
		return fd;
	(void)kt_close(fd);
	return kt_err_set(reterr, r, "files cannot be protected (Landlock): %m");
}

/* ---- Privileges ---- */

static int set_capabilities(uint32_t effective, uint32_t permitted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{ .effective = effective, .permitted = permitted },
	};

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static bool reaches(const char *const *paths, size_t n, int how)
{
	for (size_t i = 0; i < n; i++) {
		if (faccessat(AT_FDCWD, paths[i], how, AT_EACCESS) < 0 && errno == EACCES)
			return false;
	}
	return true;
}

/* The ambient capabilities go with the permitted ones. */
static int drop_capabilities(const struct kt_confine_needs *needs, bool was_root,
			     struct kt_err *reterr)
{
	const uint32_t override = 1u << CAP_DAC_OVERRIDE;
	int r = was_root ? set_capabilities(0, override) : 0;

	if (r == 0 && was_root &&
	    !(reaches(needs->writable, needs->n_writable, W_OK) &&
	      reaches(needs->readable, needs->n_readable, R_OK)))
		return set_capabilities(override, override);
	r = set_capabilities(0, 0);
	return r < 0 ? kt_err_set(reterr, r, "capabilities cannot be dropped: %m") : 0;
}

static bool has_override(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return syscall(SYS_capget, &header, data) == 0 &&
	       data[0].permitted & 1u << CAP_DAC_OVERRIDE;
}

static int join_network(const struct kt_confinement *confinement, struct kt_err *reterr)
{
	if ((confinement->user_fd >= 0 && setns(confinement->user_fd, CLONE_NEWUSER) < 0) ||
	    setns(confinement->net_fd, CLONE_NEWNET) < 0)
		return kt_err_set(reterr, -errno, "the network cannot be given up: %m");
	return 0;
}

int kt_confine(const struct kt_confinement *confinement, const struct kt_confine_needs *needs,
	       struct kt_err *reterr)
{
	unsigned int parts = confinement->parts & ~needs->keeps;
	bool was_root = has_override();
	KT_CLOSE int ruleset = -1;
	int r = 0;

	if (parts & KT_CONFINE_FILES)
		ruleset = r = make_ruleset(confinement, needs, reterr);
	if (r >= 0 && parts & KT_CONFINE_NETWORK)
		r = join_network(confinement, reterr);
	if (r >= 0)
		r = drop_capabilities(needs, was_root, reterr);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return kt_err_set(reterr, -errno, "PR_SET_NO_NEW_PRIVS: %m");
	if (ruleset >= 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return kt_err_set(reterr, -errno, "files cannot be protected (Landlock): %m");
	ruleset = kt_close(ruleset);
	kt_close_others(needs->kept_fds, needs->n_kept_fds);
	if (parts & KT_CONFINE_CALLS)
		return kt_calls_refuse_host(needs->keeps & KT_CONFINE_NETWORK, reterr);
	return 0;
}

int kt_confine_programs(const struct kt_confinement *confinement, struct kt_err *reterr)
{
	return confinement->parts & KT_CONFINE_CALLS ? kt_calls_refuse_programs(reterr) : 0;
}
