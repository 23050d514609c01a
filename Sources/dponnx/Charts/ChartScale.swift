import Glibc

/// An axis: from values to places, and the values that are marked.
struct ChartScale {
    enum Kind { case linear, logarithmic }

    let kind: Kind
    /// In logarithms to base 10 if logarithmic.
    private let low: Double
    private let high: Double

    /// Covers all values; a logarithmic one leaves out those that are not positive.
    init(_ kind: Kind, covering values: some Sequence<Double>, includesZero: Bool = false) {
        self.kind = kind
        let placed = values.compactMap { Self.placed($0, kind) }
        var (low, high) = (placed.min() ?? 0, placed.max() ?? 1)
        if includesZero { (low, high) = (min(0, low), max(0, high)) }
        if low == high {
            let margin = max(abs(low) * 0.1, 1e-9)
            (low, high) = (low - margin, high + margin)
        }
        (self.low, self.high) = (low, high)
    }

    /// 0 at the axis' beginning, 1 at its end; nil for what has no place on it.
    func place(_ value: Double) -> Double? {
        Self.placed(value, kind).map { ($0 - low) / (high - low) }
    }

    private static func placed(_ value: Double, _ kind: Kind) -> Double? {
        guard value.isFinite else { return nil }
        switch kind {
        case .linear: return value
        case .logarithmic: return value > 0 ? log10(value) : nil
        }
    }

    /// Round values about evenly spread, with their labels.
    var ticks: [(value: Double, label: String)] {
        switch kind {
        case .linear: multiples(of: roundStep).map { ($0, label($0, roundStep)) }
        // Within three decades their ones, twos and fives; beyond, powers of ten.
        case .logarithmic where high - low < 3:
            multiples(of: 1, from: low.rounded(.down)).flatMap { power in
                [1.0, 2, 5].map { $0 * pow(10, power) }
            }.filter { (low - 1e-9...high + 1e-9).contains(log10($0)) }.map { ($0, label($0)) }
        case .logarithmic: multiples(of: max(1, roundStep.rounded(.up))).map { (pow(10, $0), label(pow(10, $0))) }
        }
    }

    private func multiples(of step: Double, from start: Double? = nil) -> [Double] {
        let first = ((start ?? low) / step - 1e-9).rounded(.up)
        let last = (high / step + 1e-9).rounded(.down)
        return first <= last ? stride(from: first, through: last, by: 1).map { $0 * step } : []
    }

    /// A step of 1, 2 or 5 times a power of ten that gives about six ticks.
    private var roundStep: Double {
        let raw = (high - low) / 6
        let power = pow(10, floor(log10(raw)))
        let share = raw / power
        return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10)
    }

    private func label(_ value: Double, _ step: Double) -> String {
        if value == 0 { return "0" }
        return abs(value) < 1e6 && step >= 1e-6
            ? fixed(value, max(0, Int(ceil(-log10(step) - 1e-9)))) : scientific(value)
    }

    private func label(_ value: Double) -> String {
        value >= 0.001 && value < 1e4 ? trimmed(value) : scientific(value)
    }

    private func scientific(_ value: Double) -> String {
        let exponent = Int(floor(log10(abs(value)) + 1e-9))
        return "\(trimmed(value / pow(10, Double(exponent))))e\(exponent)"
    }

    private func trimmed(_ value: Double) -> String {
        var text = fixed(value, 3)
        guard text.contains(".") else { return text }
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }
}
