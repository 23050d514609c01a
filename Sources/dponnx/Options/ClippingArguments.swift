public import ArgumentParser
public import DPONNX

/// How per-sample gradients are clipped.
struct ClippingArguments: ParsableArguments {
    @Option(help: "bk chooses the cheaper norm rule at every site; the others are for comparison.")
    var clippingMode: ClippingMode = .bookKeeping

    @Option(help: "How a sample's factor follows from its norm.")
    var clippingFunction: ClippingFunctionName = .abadi

    @Option(help: "Which parameters share a factor.")
    var clippingStyle: ClippingStyle = .flat

    @Option(help: ArgumentHelp("Clipping norm C.", valueName: "c"))
    var clipNorm = 1.0

    @Option(help: ArgumentHelp("gamma of the automatic function.", valueName: "gamma"))
    var clipGamma: Double?

    @Option(help: ArgumentHelp("Bound Z of the global function.", valueName: "z"))
    var clipBound: Double?

    func validate() throws {
        guard clipNorm > 0, clipNorm.isFinite else { throw ValidationError("--clip-norm must be positive and finite") }
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
        if clippingMode == .ghost, clippingStyle != .flat {
            throw ValidationError("--clipping-mode ghost has one factor per sample; use --clipping-style flat")
        }
    }

    var options: ClippingOptions {
        let function: ClippingFunction =
            switch clippingFunction {
            case .abadi: .abadi
            case .automatic: .automatic(gamma: clipGamma ?? 0.01)
            case .normalized: .normalized
            case .global: .global(bound: clipBound!)
            }
        return ClippingOptions(mode: clippingMode, function: function, style: clippingStyle, clippingNorm: clipNorm)
    }
}

enum ClippingFunctionName: String, ExpressibleByArgument, CaseIterable {
    case abadi, automatic, normalized, global
}

extension ClippingMode: ExpressibleByArgument {}
extension ClippingStyle: ExpressibleByArgument {}
