import ArgumentParser
import DPONNX

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Writes a page about a training run.",
        discussion: """
            Loss, epsilon, clipped share, gradient norms and learning rate over the steps, as one HTML file that needs no \
            other. What was computed without noise is not covered by epsilon; the file says so, and only its owner can \
            read it.

            RUN is the folder of --log-dir; of a folder of --checkpoint, epsilon is told.

            Example: dponnx report logs --output report.html
            """)

    @Argument(help: ArgumentHelp("Folder of --log-dir or --checkpoint.", valueName: "run"), completion: .directory)
    var folder: String

    @Option(help: ArgumentHelp("Where the page goes; default: report.html in RUN.", valueName: "file"))
    var output: String?

    @Option(help: ArgumentHelp("delta at which a folder of --checkpoint tells epsilon.", valueName: "delta"))
    var delta: Double?

    @OptionGroup var account: LedgerArguments

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if let delta, !(delta > 0 && delta < 1) { throw ValidationError("--delta must lie between 0 and 1") }
    }

    private struct Report: Encodable {
        var output: String
        /// Steps that the page shows.
        var steps: Int
    }

    func run() throws {
        try reportingFailures {
            let page = RunLog.exists(in: folder) ? try RunPage(log: folder) : try checkpointPage()
            let path = output ?? folder + "/report.html"
            try TextFile.write(page.html, to: path, ownerOnly: true)
            if json { try printJSON(Report(output: path, steps: page.steps)) } else { print("wrote \(path)") }
        }
    }

    private func checkpointPage() throws -> RunPage {
        guard let recorded = try TrainingRecord.recordedRun(in: folder, ledger: account.ledger) else {
            throw DataError(
                .missingInput, "holds no log of a run; give the folder of --log-dir or --checkpoint",
                at: .init(file: folder))
        }
        guard let delta else { throw UsageError("a folder of --checkpoint does not say delta; give --delta D") }
        return RunPage(recorded, delta: delta)
    }
}
