public import ArgumentParser
public import DPONNX

/// How per-sample gradients are clipped.
struct ClippingArguments: ParsableArguments {
    @Option(help: "bk chooses the cheaper norm rule at every site; the others are for comparison.")
    var clippingMode: ClippingMode = .bookKeeping

    @Option(help: "How a sample's factor follows from its norm.")
    var clippingFunction: ClippingFunctionName = .abadi

    @Option(
        help: """
            Which parameters share a factor: all; those of a layer; none (in the order of the model's initializers); those \
            of a --clip-group.
            """)
    var clippingStyle: ClippingStyle = .flat

    @Option(
        help: ArgumentHelp(
            "Clipping norm C, over all parameters together; default 1. With groups it is sqrt(sum C_k^2).",
            valueName: "c"))
    var clipNorm: Double?

    @Option(
        help: ArgumentHelp(
            "Parameters of one group and its clipping norm C_k, with --clipping-style grouped (repeats). Every parameter "
                + "is in one group.", valueName: "glob=c_k"))
    var clipGroup: [ClipGroupArgument] = []

    @Option(help: ArgumentHelp("gamma of the automatic function.", valueName: "gamma"))
    var clipGamma: Double?

    @Option(help: ArgumentHelp("Bound Z of the global function.", valueName: "z"))
    var clipBound: Double?

    func validate() throws {
        if let clipNorm {
            guard clipNorm > 0 else { throw ValidationError("--clip-norm must be positive") }
            guard clipNorm.isFinite || clippingFunction == .abadi else {
                throw ValidationError("--clip-norm inf clips nothing, which only --clipping-function abadi can mean")
            }
        }
        if let clipGamma {
            guard clippingFunction == .automatic else {
                throw ValidationError("--clip-gamma belongs to --clipping-function automatic")
            }
            guard clipGamma > 0, clipGamma.isFinite else { throw ValidationError("--clip-gamma must be positive") }
        }
        if let clipBound {
            guard clippingFunction == .global else {
                throw ValidationError("--clip-bound belongs to --clipping-function global")
            }
            guard clipBound > 0, clipBound.isFinite else { throw ValidationError("--clip-bound must be positive") }
        } else if clippingFunction == .global {
            throw ValidationError("--clipping-function global needs --clip-bound Z")
        }
        guard (clippingStyle == .grouped) == !clipGroup.isEmpty else {
            throw ValidationError("--clipping-style grouped and --clip-group belong together")
        }
        let whole = clipGroup.reduce(0) { $0 + $1.norm * $1.norm }.squareRoot()
        if let clipNorm, !clipGroup.isEmpty, (clipNorm / whole - 1).magnitude > 1e-6 {
            throw ValidationError(
                "--clip-norm \(clipNorm) contradicts --clip-group, whose norms make C \(whole); leave it out")
        }
    }

    /// How the parameters `names` are clipped.
    /// - Throws: `SelectionError` if a parameter is in no group or in several.
    func options(for names: [String]) throws -> ClippingOptions {
        let function: ClippingFunction =
            switch clippingFunction {
            case .abadi: .abadi
            case .automatic: .automatic(gamma: clipGamma ?? 0.01)
            case .normalized: .normalized
            case .global: .global(bound: clipBound!)
            }
        guard clippingStyle == .grouped else {
            return ClippingOptions(
                mode: clippingMode, function: function, style: clippingStyle, clippingNorm: clipNorm ?? 1)
        }
        let groups = try ParameterGroups.resolve(clipGroup.map { ($0.pattern, $0.norm) }, among: names)
        return ClippingOptions(mode: clippingMode, function: function, groups: groups)
    }
}

/// `GLOB=C_k` on the command line.
struct ClipGroupArgument: ExpressibleByArgument {
    let pattern: String
    let norm: Double

    init?(argument: String) {
        guard let separator = argument.lastIndex(of: "="), separator != argument.startIndex,
            let norm = Double(argument[argument.index(after: separator)...]), norm > 0, norm.isFinite
        else { return nil }
        pattern = String(argument[..<separator])
        self.norm = norm
    }
}

enum ClippingFunctionName: String, ExpressibleByArgument, CaseIterable {
    case abadi, automatic, normalized, global
}

extension ClippingMode: ExpressibleByArgument {}
extension ClippingStyle: ExpressibleByArgument {}
