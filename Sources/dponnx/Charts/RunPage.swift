import DPONNX

/// A page about one run.
struct RunPage {
    /// Steps that it shows.
    let steps: Int
    private let facts: [(name: String, value: String)]
    private let charts: [LineChart]
    private let hasDiagnostics: Bool

    /// - Throws: `DataError` if the log cannot be read.
    init(log folder: String) throws {
        let entries = try RunLog.entries(in: folder)
        let run = try RunLog.description(in: folder, as: RunDescription.self)
        steps = entries.last?.step ?? 0
        let validation = try RunLog.validation(in: folder, as: ValidationReport.self)
        hasDiagnostics = validation != nil || entries.contains { $0.loss != nil || $0.clippedShare != nil }
        facts = Self.facts(run, steps: steps) + (validation.map(Self.facts) ?? [])
        func points(_ value: (RunLog.Entry) -> Double?) -> [(x: Double, y: Double)] {
            thinned(entries.compactMap { entry in value(entry).map { (Double(entry.step), $0) } })
        }
        let losses = points(\.loss)
        charts = [
            LineChart(
                title: "Loss", xLabel: "step", yLabel: "mean loss of a batch",
                lines: [
                    .init(name: "running mean", points: runningMean(losses)),
                    .init(name: "batch", points: losses, isFaint: true),
                ]),
            LineChart(
                title: "Epsilon", xLabel: "step", yLabel: "epsilon spent", yIncludesZero: true,
                lines: [.init(name: "epsilon", points: points(\.epsilon))]),
            LineChart(
                title: "Clipping", xLabel: "step", yLabel: "share of samples clipped", yIncludesZero: true,
                lines: [.init(name: "clipped", points: points(\.clippedShare))]),
            LineChart(
                title: "Gradient norms before clipping", xLabel: "step", yLabel: "norm", yKind: .logarithmic,
                lines: [
                    .init(name: "median", points: points(\.medianNorm)),
                    .init(name: "largest", points: points(\.largestNorm)),
                ]
                    + (run.clipNorm.map { norm in
                        [.init(name: "C", points: points { _ in norm }, isFaint: true)]
                    } ?? [])),
            LineChart(
                title: "Learning rate", xLabel: "step", yLabel: "learning rate", yIncludesZero: true,
                lines: [.init(name: "rate", points: points(\.learningRate))]),
        ].filter { !$0.lines[0].points.isEmpty }
    }

    /// What a ledger tells of a run.
    init(_ run: LedgerRun, delta: Double) {
        steps = run.charged
        hasDiagnostics = false
        let epsilons = (0...20).map { part in
            let count = run.charged * part / 20
            let event = run.event(charged: count)
            return (
                x: Double(count), y: count == 0 ? 0 : PrivacyAccountant.pld.epsilon(of: [event], delta: delta).epsilon
            )
        }
        facts = [
            ("steps charged", "\(run.charged)"), ("data set", run.dataset),
            ("epsilon", "\(fixed(epsilons.last!.y, 4)) at delta \(delta) (pld)"), ("sampler", run.sampler.name),
            ("sampling rate", "\(run.sampler.samplingRate)"), ("rows declared", "\(run.datasetSize)"),
            ("noise multiplier", "\(run.noiseMultiplier)"),
            ("bands of noise", run.bands.map { "\($0), charged as a whole" } ?? ""), ("unit", run.unit),
            ("adjacency", run.adjacency.rawValue),
        ].filter { !$0.1.isEmpty }
        charts = [
            LineChart(
                title: "Epsilon", xLabel: "step", yLabel: "epsilon spent", yIncludesZero: true,
                lines: [.init(name: "epsilon", points: epsilons)])
        ]
    }

    var html: String {
        let rows = facts.map { "<tr><th>\(escaped($0.name))</th><td>\(escaped($0.value))</td></tr>" }
        let banner =
            hasDiagnostics
            ? "<p class=\"stamp\">Losses, clipped shares, norms and validation results are \(RunLog.stamp): they were computed from the data without noise. Keep this page as you keep the data.</p>"
            : "<p>Nothing on this page was computed from the data.</p>"
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Private training run</title>
            <style>
            body { font-family: sans-serif; color: #222; margin: 2em auto; max-width: 1310px; padding: 0 1em; }
            table { border-collapse: collapse; margin: 1.5em 0; }
            th { text-align: left; font-weight: normal; color: #555; padding: 0.2em 1.5em 0.2em 0; vertical-align: top; }
            .stamp { border-left: 6px solid #d55e00; background: #fdf1ea; padding: 0.7em 1em; }
            .charts svg { max-width: 100%; height: auto; }
            </style>
            </head>
            <body>
            <h1>Private training run</h1>
            \(banner)
            <table>
            \(rows.joined(separator: "\n"))
            </table>
            <div class="charts">
            \(charts.map { $0.element() }.joined(separator: "\n"))
            </div>
            </body>
            </html>

            """
    }

    private static func facts(_ run: RunDescription, steps: Int) -> [(name: String, value: String)] {
        var facts = [("steps", "\(steps) of \(run.steps)")]
        if let epsilon = run.epsilon, let delta = run.delta {
            facts.append(("epsilon of all steps", "\(fixed(epsilon, 4)) at delta \(delta) (\(run.accountant))"))
        } else {
            facts.append(("guarantee", "NOT PRIVATE: \(run.reasonsNotPrivate.joined(separator: "; "))"))
        }
        facts += [
            ("sampler", run.sampler), ("sampling rate", "\(run.samplingRate)"),
            ("expected batch", "\(fixed(run.expectedBatchSize, 1)) of \(run.datasetSize)"),
            ("noise multiplier", "\(run.noiseMultiplier)"),
        ]
        if let bands = run.bands { facts.append(("bands of noise", "\(bands), charged as a whole")) }
        if let norm = run.clipNorm {
            facts.append(("clipping", "\(run.clippingFunction), \(run.clippingStyle), C = \(norm)"))
        }
        return facts + [("unit", run.unit), ("adjacency", run.adjacency)]
    }

    private static func facts(_ validation: ValidationReport) -> [(name: String, value: String)] {
        validation.metrics.text.split(separator: "\n").map { line in
            let name = line.prefix { $0 != " " }
            return ("validation \(name)", line.dropFirst(name.count).drop { $0 == " " }.description)
        }
    }
}

/// At most a thousand points: means of neighbours.
private func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    let size = (points.count + 999) / 1000
    guard size > 1 else { return points }
    return stride(from: 0, to: points.count, by: size).map { start in
        let part = points[start..<min(start + size, points.count)]
        let count = Double(part.count)
        return (part.reduce(0) { $0 + $1.x } / count, part.reduce(0) { $0 + $1.y } / count)
    }
}

/// Means over a twentieth of all points, behind each.
private func runningMean(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    let window = max(1, points.count / 20)
    return points.indices.map { index in
        let part = points[max(0, index - window + 1)...index]
        return (points[index].x, part.reduce(0) { $0 + $1.y } / Double(part.count))
    }
}
