#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    avscope::protocol::dhcp::fuzz_message(input);
});
