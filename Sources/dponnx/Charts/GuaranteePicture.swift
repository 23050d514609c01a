import DPONNX

/// Draws epsilon over delta beside the trade-off of errors, one line per subject.
enum GuaranteePicture {
    static func svg(_ subjects: [(name: String, events: [PrivacyEvent])], title: String) -> String {
        let curves = subjects.map { (name: $0.name, curves: PrivacyCurves($0.events)) }
        let left = LineChart(
            title: "epsilon over delta, \(title)", xLabel: "delta", yLabel: "epsilon (upper bound)",
            xKind: .logarithmic, yIncludesZero: true,
            lines: curves.map { name, curves in
                .init(name: name, points: curves.points.filter { $0.delta <= 0.01 }.map { ($0.delta, $0.epsilon) })
            })
        // Closer where the curve is steep.
        let errors = stride(from: 0.0, through: 1, by: 1.0 / 128).map { $0 * $0 }
        var lines = curves.map { name, curves in
            LineChart.Line(name: name, points: errors.map { ($0, curves.typeTwoError(typeOne: $0)) })
        }
        lines.append(.init(name: "perfect privacy", points: [(0, 1), (1, 0)], isFaint: true))
        let right = LineChart(
            title: "trade-off of a distinguisher's errors", xLabel: "type I error",
            yLabel: "type II error (lower bound)", lines: lines)
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="1280" height="400" viewBox="0 0 1280 400">
            \(left.element())
            \(right.element(x: LineChart.width))
            </svg>

            """
    }
}
