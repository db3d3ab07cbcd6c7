//! The `avscope` command.

fn main() -> std::process::ExitCode {
    avscope::cli::run()
}
