#![no_main]
libfuzzer_sys::fuzz_target!(|input: (usize, u8, &[u8])| {
    avscope::protocol::starttls::fuzz_watch(input.1, input.2, input.0);
});
