/* SPDX-License-Identifier: MIT */
/*
 * The handler of fatal signals in PID 1. It runs in the middle of any code, perhaps with corrupted
 * memory or with locks held: it must not allocate, and must not wait for anything without a limit.
 * It sends one CRSH frame, waits until the host has it, and powers the machine off.
 */
#include "guest/port/crash.h"

#include <errno.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "util/cleanup.h"

#define SCAN_WORDS  1024u /* of the stack */
#define CONSOLE_MS  50    /* for some hundred lines at the speed of the serial port */
#define SCAN_FRAMES 9u    /* with the one that crashed */

/* A signal handler has no argument of ours, so what it needs is here: there is one PID 1. */
static struct {
	struct kt_port *port;
	struct kt_output *output;
	const int *step;
	uint64_t load_address;
	uint64_t text_begin, text_end; /* of the executable's code, where it is loaded */
} last;

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP };

/* Reads memory that may not be mapped. The system call fails where an access would fault again. */
static bool peek(uint64_t address, void *to, size_t len)
{
	struct iovec local = { .iov_base = to, .iov_len = len };
	struct iovec remote = { .iov_base = (void *)(uintptr_t)address, .iov_len = len };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len;
}

/* The host knows the executable, not where it was loaded: addresses are relative to that. */
static void add_frame(struct kt_msg_crash *crash, uint64_t address)
{
	crash->frames[crash->n_frames++] = address - last.load_address;
}

static bool is_own_code(uint64_t address)
{
	return address >= last.text_begin && address < last.text_end;
}

/* Whether a call instruction ends at @address: E8 rel32, or FF /2 with up to 5 bytes behind it. */
static bool follows_call(uint64_t address)
{
	uint8_t code[7];

	if (!is_own_code(address - sizeof(code)) ||
	    !peek(address - sizeof(code), code, sizeof(code)))
		return false;
	if (code[2] == 0xe8)
		return true;
	for (size_t i = 0; i + 2 <= sizeof(code); i++) {
		if (code[i] == 0xff && (code[i + 1] & 0x38) == 0x10)
			return true;
	}
	return false;
}

/*
 * A crash in a library, as abort() of a failed assertion: libraries have no frame pointers, so the
 * stack is searched for return addresses into the test's own code.
 */
static void scan_stack(struct kt_msg_crash *crash, uint64_t stack)
{
	uint64_t word;

	for (size_t i = 0; i < SCAN_WORDS && crash->n_frames < SCAN_FRAMES; i++) {
		if (!peek(stack + i * sizeof(word), &word, sizeof(word)))
			return;
		if (is_own_code(word) && follows_call(word))
			add_frame(crash, word - 1);
	}
}

/*
 * Follows the frame pointers. backtrace(3) would load libgcc and use the heap. The list ends early
 * at code without frame pointers. Frames must ascend, so a corrupted stack cannot make a loop.
 */
static void walk_stack(struct kt_msg_crash *crash, const ucontext_t *context)
{
	uint64_t ip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	uint64_t frame = (uint64_t)context->uc_mcontext.gregs[REG_RBP];
	uint64_t pair[2]; /* the caller's frame, the return address */

	if (!is_own_code(ip))
		scan_stack(crash, (uint64_t)context->uc_mcontext.gregs[REG_RSP]);
	if (crash->n_frames)
		return;
	add_frame(crash, ip);
	while (crash->n_frames < KT_CRASH_FRAMES_MAX && peek(frame, pair, sizeof(pair)) &&
	       pair[0] > frame) {
		add_frame(crash, pair[1] - 1); /* inside the call instruction, for the line */
		frame = pair[0];
	}
}

static void on_fatal(int signal, siginfo_t *info, void *context)
{
	struct kt_msg_crash crash = {
		.signal = (uint32_t)signal,
		.code = info->si_code,
		.fault_address = (uint64_t)(uintptr_t)info->si_addr,
		.step = (uint32_t)*last.step,
	};

	/* Children inherit the handlers. Their deaths are for their parent to see. */
	if (getpid() != 1) {
		kt_crash_uninstall();
		(void)raise(signal);
		return;
	}
	kt_crash_uninstall(); /* a second one ends PID 1 and panics the kernel, which is seen too */
	walk_stack(&crash, context);
	if (last.output)
		kt_output_drain(last.output, 500);
	/*
	 * What the kernel says of the signal is written to the console by a thread of its own,
	 * which needs guest time. The host ends the machine as soon as it has the last words: what
	 * comes to the console after them would depend on how fast the host is.
	 */
	(void)poll(NULL, 0, CONSOLE_MS);
	(void)kt_port_send_last_words(last.port, KT_MSG_CRASH, &crash, sizeof(crash));
	kt_port_linger(last.port, 3000); /* the host ends the machine at once */
	sync();
	(void)reboot(RB_POWER_OFF);
	_exit(128 + signal);
}

static int find_executable(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	last.load_address = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
			continue;
		last.text_begin = info->dlpi_addr + header->p_vaddr;
		last.text_end = last.text_begin + header->p_memsz;
	}
	return 1; /* the executable comes first */
}

int kt_crash_install(struct kt_port *port, const int *step, struct kt_err *reterr)
{
	struct sigaction action = {
		.sa_sigaction = on_fatal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};
	stack_t stack = { .ss_size = 65536 };

	/*
	 * The overflow of a stack is fatal too: the handler needs its own stack. It is never freed.
	 */
	stack.ss_sp = malloc(stack.ss_size);
	if (!stack.ss_sp)
		return kt_err_oom(reterr);
	last.port = port;
	last.step = step;
	(void)dl_iterate_phdr(find_executable, NULL);
	if (sigaltstack(&stack, NULL) < 0)
		return kt_err_set(reterr, -errno, "sigaltstack: %m");
	for (size_t i = 0; i < KT_ARRAY_LEN(fatal_signals); i++) {
		if (sigaction(fatal_signals[i], &action, NULL) < 0)
			return kt_err_set(reterr, -errno, "sigaction %d: %m", fatal_signals[i]);
	}
	return 0;
}

void kt_crash_watch_step(const int *step)
{
	last.step = step;
}

void kt_crash_set_output(struct kt_output *output)
{
	last.output = output;
}

void kt_crash_uninstall(void)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(fatal_signals); i++)
		(void)signal(fatal_signals[i], SIG_DFL);
}
