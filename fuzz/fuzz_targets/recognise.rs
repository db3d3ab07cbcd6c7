#![no_main]
libfuzzer_sys::fuzz_target!(|input: (u8, u16, u16, &[u8])| {
    avscope::protocol::recognise::fuzz_recognise(input.0, input.1, input.2, input.3);
});
