#include "tcx.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <linux/bpf.h>
#include <sys/syscall.h>

namespace weft {

namespace {
// Linux 6.6; newer than some distributions' headers.
constexpr uint32_t kBpfTcxIngress = 46;
constexpr int32_t kTcxDrop = 2;

Descriptor bpf(int command, bpf_attr* attributes) {
  return Descriptor(static_cast<int>(::syscall(SYS_bpf, command, attributes, sizeof *attributes)));
}

/// r0 = TCX_DROP; exit.
Descriptor load_dropping() {
  bpf_insn instructions[2];
  std::memset(instructions, 0, sizeof instructions);
  instructions[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  instructions[0].dst_reg = BPF_REG_0;
  instructions[0].imm = kTcxDrop;
  instructions[1].code = BPF_JMP | BPF_EXIT;
  static const char licence[] = "Apache-2.0";
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attributes.insns = reinterpret_cast<uint64_t>(instructions);
  attributes.insn_cnt = 2;
  attributes.license = reinterpret_cast<uint64_t>(licence);
  std::strcpy(attributes.prog_name, "weft_drop");
  return bpf(BPF_PROG_LOAD, &attributes);
}
}  // namespace

int shield_host(int ifindex, Descriptor* link) {
  const Descriptor program = load_dropping();
  if (!program.valid()) return errno;
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.link_create.prog_fd = static_cast<uint32_t>(program.get());
  attributes.link_create.target_ifindex = static_cast<uint32_t>(ifindex);
  attributes.link_create.attach_type = kBpfTcxIngress;
  *link = bpf(BPF_LINK_CREATE, &attributes);
  return link->valid() ? 0 : errno;
}

}  // namespace weft
