{
  "variables": { "sanitize%": "" },
  "targets": [
    {
      "target_name": "weft",
      "sources": [
        "native/addon-arrival.cc",
        "native/addon-echo.cc",
        "native/addon-netdev.cc",
        "native/addon-tunnel.cc",
        "native/addon-socket.cc",
        "native/addon-guest.cc",
        "native/addon-link.cc",
        "native/addon.cc",
        "native/address.cc",
        "native/coalesce.cc",
        "native/decapsulate.cc",
        "native/dgram.cc",
        "native/doorbell.cc",
        "native/echo.cc",
        "native/engine.cc",
        "native/finish.cc",
        "native/guest-memory.cc",
        "native/guest-receive.cc",
        "native/guest-ring.cc",
        "native/guest-transmit.cc",
        "native/guest.cc",
        "native/inner.cc",
        "native/link-monitor.cc",
        "native/local-socket.cc",
        "native/namespace.cc",
        "native/netdev.cc",
        "native/outbox.cc",
        "native/packet.cc",
        "native/priority.cc",
        "native/receive.cc",
        "native/registry.cc",
        "native/slots.cc",
        "native/socket-device.cc",
        "native/stream.cc",
        "native/tap.cc",
        "native/tcx.cc",
        "native/transmit.cc",
        "native/tunnel-arrival.cc",
        "native/tunnel-receiver.cc",
        "native/tunnel-batch.cc",
        "native/tunnel-post.cc",
        "native/tunnel-sender.cc",
        "native/tunnel-sockets.cc",
        "native/tunnel-troubles.cc",
        "native/uring.cc",
        "native/watch.cc",
        "native/way.cc"
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "_GNU_SOURCE"],
      "cflags": ["-Wall", "-Wextra", "<!(node -p \"process.env.CI ? '-Werror' : '-Wall'\")", "-O2"],
      "cflags_cc": ["-std=c++20", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden"],
      "cflags!": ["-O3"],
      "cflags_cc!": ["-std=gnu++17", "-O3"],
      "conditions": [
        ["target_arch=='x64'", {
          "cflags": ["-mprfchw"]
        }],
        ["sanitize!=''", {
          "cflags": ["-fsanitize=<(sanitize)", "-fno-omit-frame-pointer", "-g"],
          "ldflags": ["-fsanitize=<(sanitize)"]
        }]
      ]
    }
  ]
}
