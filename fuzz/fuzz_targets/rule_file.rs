#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| {
    avscope::attribute::fuzz_rule_file(text);
});
