import DPONNX
import Glibc

/// What a running training shows on standard error: one live line on a terminal, a plain line now and then elsewhere.
///
/// Losses and clipped shares are computed without noise and not covered by epsilon; they can be left out.
struct ProgressBar {
    private let steps: Int
    private let showsDiagnostics: Bool
    private let epsilon: (Int) -> Double?
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let start = ContinuousClock.now
    private var lastShown: ContinuousClock.Instant?
    private var lastLine = 0
    private var examples = 0
    private var loss: Double?

    /// - Parameter epsilon: what so many steps have cost; nil where nothing is guaranteed.
    init(steps: Int, showsDiagnostics: Bool, epsilon: @escaping (Int) -> Double?) {
        self.steps = steps
        self.showsDiagnostics = showsDiagnostics
        self.epsilon = epsilon
    }

    mutating func show(_ report: Trainer.StepReport) {
        examples += report.sampleCount
        // A batch's loss is noisy; what is shown leans on the last ten.
        if let new = report.loss { loss = loss.map { $0 + 0.1 * (new - $0) } ?? new }
        let isLast = report.step == steps
        if isTerminal {
            guard isLast || lastShown.map({ .now - $0 > .milliseconds(250) }) ?? true else { return }
        } else {
            let interval = max(1, steps / 20)
            guard isLast || report.step - lastLine >= interval else { return }
        }
        lastShown = .now
        lastLine = report.step
        let text = line(report)
        if isTerminal {
            writeRaw("\r\u{1B}[K" + text + (isLast ? "\n" : ""))
        } else {
            writeRaw(text + "\n")
        }
    }

    private func line(_ report: Trainer.StepReport) -> String {
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        var parts = [isTerminal ? bar(report.step) + " \(report.step)/\(steps)" : "step \(report.step)/\(steps)"]
        parts.append("\(fixed(Double(examples) / max(seconds, 1e-9), 0)) examples/s")
        if showsDiagnostics {
            if let loss { parts.append("loss \(fixed(loss, 4))") }
            if let share = report.clippedShare { parts.append("clipped \(fixed(100 * share, 0)) %") }
            if report.excludedCount > 0 { parts.append("not finite \(report.excludedCount)") }
        }
        if let epsilon = epsilon(report.step) { parts.append("epsilon \(fixed(epsilon, 3))") }
        let left = seconds / Double(report.step) * Double(steps - report.step)
        parts.append(report.step == steps ? "took \(duration(seconds))" : "left \(duration(left))")
        return parts.joined(separator: "  ")
    }

    private func bar(_ step: Int) -> String {
        let width = 24
        let done = width * step / steps
        return "[" + String(repeating: "#", count: done) + String(repeating: ".", count: width - done) + "]"
    }

    private func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        if whole >= 3600 { return "\(whole / 3600)h\(padded(whole / 60 % 60))m" }
        return whole >= 60 ? "\(whole / 60)m\(padded(whole % 60))s" : "\(whole)s"
    }

    private func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

/// A number with so many decimals.
func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = Int((abs(value) * scale).rounded())
    let whole = "\(scaled / Int(scale))"
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard decimals > 0 else { return sign + whole }
    let fraction = "\(scaled % Int(scale))"
    return sign + whole + "." + String(repeating: "0", count: decimals - fraction.count) + fraction
}
