import PrivateGradients

/// One way of clipping a model's gradients, with the groups and thresholds that follow from ALGORITHMS.
struct ModelClipping {
    let options: ClippingOptions
    let groups: [[String]]
    let thresholds: [Double]

    init(
        _ model: PrivateModel, mode: ClippingMode, function: ClippingFunction = .abadi, style: ClippingStyle,
        clippingNorm: Double
    ) {
        let names = model.parameters.map(\.name)
        let equal = { (groups: [[String]]) in groups.map { _ in clippingNorm / Double(groups.count).squareRoot() } }
        guard style == .grouped else {
            options = ClippingOptions(mode: mode, function: function, style: style, clippingNorm: clippingNorm)
            groups =
                switch style {
                case .flat, .grouped: [names]
                case .layerWise: model.layers
                case .parameterWise: names.map { [$0] }
                }
            thresholds = equal(groups)
            return
        }
        // Every other parameter, so that layers are torn apart; 0.6^2 + 0.8^2 = 1.
        let halves = [0, 1].map { half in names.indices.filter { $0 % 2 == half }.map { names[$0] } }
        groups = halves.filter { !$0.isEmpty }
        thresholds = groups.count == 1 ? [clippingNorm] : [0.6 * clippingNorm, 0.8 * clippingNorm]
        options = ClippingOptions(
            mode: mode, function: function,
            groups: zip(groups, thresholds).map { ClippingGroup(parameters: $0, norm: $1) })
    }

    /// All modes that clip with all styles.
    static func all(
        _ model: PrivateModel, function: ClippingFunction = .abadi, clippingNorm: Double
    ) -> [ModelClipping] {
        ClippingMode.allCases.filter { $0 != .nonPrivate }.flatMap { mode in
            ClippingStyle.allCases.map { style in
                ModelClipping(model, mode: mode, function: function, style: style, clippingNorm: clippingNorm)
            }
        }
    }

    var description: String { "\(options.mode.rawValue), \(options.function), \(options.style.rawValue)" }
}
