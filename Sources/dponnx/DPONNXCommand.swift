import ArgumentParser

@main
struct DPONNXCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dponnx",
        abstract: "Fine-tunes exported ONNX models under differential privacy.",
        discussion: """
            Exit status: 0 done; 1 a check answered no; 64 usage; 65 bad model or data; 66 input missing; \
            69 unsupported operator; 70 internal error; 73 cannot create a file; 74 input/output error.
            """,
        subcommands: [
            CheckCommand.self, RunCommand.self, GradientsCommand.self, VerifyCommand.self, TrainCommand.self,
            EvaluateCommand.self, ConvertCommand.self, InspectCommand.self, AccountCommand.self, AuditCommand.self,
            ReportCommand.self, BenchCommand.self,
        ])
}
