import FoundationEssentials
import Glibc

/// The log of a run in a folder: `run.json`, one line per step in `metrics.jsonl`, an event file for TensorBoard and,
/// afterwards, `validation.json`.
///
/// What is computed from the data without noise is not covered by epsilon: its files say so, and only their owner can
/// read them. Without diagnostics only numbers that do not depend on the data are written.
public final class RunLog {
    /// Stands in every file, and in every line, that holds figures without noise.
    public static let stamp = "not covered by epsilon"

    /// One step as it is logged.
    public struct Step: Sendable, Hashable {
        public var step: Int
        public var learningRate: Double
        /// Upper bound of what the steps so far cost; nil where nothing is guaranteed.
        public var epsilon: Double?
        /// Nil to leave out what is computed without noise.
        public var diagnostics: Trainer.StepReport?

        public init(_ report: Trainer.StepReport, epsilon: Double?, withDiagnostics: Bool) {
            step = report.step
            learningRate = report.learningRate
            self.epsilon = epsilon
            diagnostics = withDiagnostics ? report : nil
        }
    }

    /// A scalar of a step.
    struct Figure {
        var tag: String
        /// Nil where the step has none: the loss of an empty batch.
        var value: Double?
        /// Whether it was computed from the data without noise.
        var isDiagnostic = false
    }

    private let folder: String
    private let metrics: AppendedFile
    private let events: EventFile
    private let encoder = JSONEncoder()

    /// Opens the log of a run in a folder, which is made if need be. A resumed run goes on in the same file of metrics.
    ///
    /// - Parameters:
    ///   - description: what `run.json` says of the run.
    ///   - isResumed: whether the folder may hold a log already.
    /// - Throws: `DataError` if the folder cannot be written to or holds another run's log.
    public init(folder: String, description: some Encodable, isResumed: Bool) throws {
        self.folder = folder
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        guard mkdir(folder, 0o700) == 0 || fileKind(folder) == .folder else {
            throw DataError(.cannotCreate, "cannot be created: \(systemMessage(errno))", at: .init(file: folder))
        }
        guard isResumed || fileKind(Self.metricsFile(folder)) == .absent || Self.isEmpty(folder) else {
            throw DataError(
                .cannotCreate, "holds the log of a run already; choose another folder", at: .init(file: folder))
        }
        metrics = try AppendedFile(path: Self.metricsFile(folder), lines: true)
        events = try EventFile(folder: folder)
        try write(description, to: Self.runFile(folder))
    }

    /// - Throws: `DataError` if the log cannot be written to.
    public func append(_ step: Step) throws {
        try metrics.append(Array(encoder.encode(step)) + [UInt8(ascii: "\n")])
        try events.append(step.figures, step: step.step)
    }

    /// Writes `validation.json`.
    /// - Throws: `DataError` if it cannot be written.
    public func appendValidation(_ results: some Encodable) throws {
        try write(results, to: Self.validationFile(folder))
    }

    private static func isEmpty(_ folder: String) -> Bool {
        var status = stat()
        return stat(metricsFile(folder), &status) == 0 && status.st_size == 0
    }

    static func metricsFile(_ folder: String) -> String { folder + "/metrics.jsonl" }
    static func validationFile(_ folder: String) -> String { folder + "/validation.json" }
    static func runFile(_ folder: String) -> String { folder + "/run.json" }

    private func write(_ value: some Encodable, to path: String) throws {
        let file = try AtomicFile(path: path, permissions: 0o600)
        try file.write(Array(encoder.encode(value)) + [UInt8(ascii: "\n")], at: 0)
        try file.commit()
    }
}

extension RunLog.Step: Encodable {
    fileprivate var figures: [RunLog.Figure] {
        var figures = [
            RunLog.Figure(tag: "learning_rate", value: learningRate), RunLog.Figure(tag: "epsilon", value: epsilon),
        ]
        guard let diagnostics else { return figures }
        for (tag, value) in [
            ("loss", diagnostics.loss), ("clipped_share", diagnostics.clippedShare),
            ("median_norm", diagnostics.medianNorm), ("largest_norm", diagnostics.largestNorm),
            ("samples", Double(diagnostics.sampleCount)), ("excluded", Double(diagnostics.excludedCount)),
        ] {
            figures.append(RunLog.Figure(tag: tag, value: value, isDiagnostic: true))
        }
        return figures
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(step, forKey: Key(stringValue: "step"))
        for figure in figures { try container.encode(figure.value, forKey: Key(stringValue: figure.tag)) }
        if diagnostics != nil { try container.encode(RunLog.stamp, forKey: Key(stringValue: "stamp")) }
    }
}
