/// The guarantee that a trained model carries with it, in a form that fits ONNX `metadata_props`.
///
/// Epsilon is computed here from the mechanism that trained the model, not passed in beside it.
public struct PrivacyStatement: Hashable, Sendable {
    public let mechanism: PrivacyMechanism
    /// How the clip factor follows from a norm: `abadi`, `automatic`, `normalized`, `global`.
    public let clippingFunction: String
    /// Which parameters are clipped together: `flat`, `layer-wise`, `parameter-wise`, `grouped`.
    public let clippingStyle: String
    public let accountant: PrivacyAccountant
    /// Epsilon at the stated delta. With ``reasonsNotPrivate`` it is only what secret randomness would have given.
    public let bound: PrivacyBound
    /// Why no guarantee holds, one reason each; empty for a private model. A seeded generator is such a reason.
    public let reasonsNotPrivate: [String]

    /// True when the stated epsilon is a guarantee.
    public var isPrivate: Bool { reasonsNotPrivate.isEmpty && bound.epsilon.isFinite }

    /// - Precondition: `delta` lies in 0...1.
    public init(
        mechanism: PrivacyMechanism, clippingFunction: String, clippingStyle: String, accountant: PrivacyAccountant,
        delta: Double, reasonsNotPrivate: [String] = []
    ) {
        self.init(
            mechanism: mechanism, clippingFunction: clippingFunction, clippingStyle: clippingStyle,
            accountant: accountant, bound: accountant.epsilon(of: [mechanism.event], delta: delta),
            reasonsNotPrivate: reasonsNotPrivate)
    }

    init(
        mechanism: PrivacyMechanism, clippingFunction: String, clippingStyle: String, accountant: PrivacyAccountant,
        bound: PrivacyBound, reasonsNotPrivate: [String]
    ) {
        self.mechanism = mechanism
        self.clippingFunction = clippingFunction
        self.clippingStyle = clippingStyle
        self.accountant = accountant
        self.bound = bound
        self.reasonsNotPrivate = reasonsNotPrivate
    }

    /// What the stated mechanism costs by the stated accountant, computed anew.
    ///
    /// Comparing it with ``bound`` tells whether a statement read from a file is consistent with itself.
    public var recomputedBound: PrivacyBound {
        accountant.epsilon(of: [mechanism.event], delta: bound.delta)
    }

    /// What has to be true of a unit for epsilon to protect it.
    public var unitMeaning: String {
        "\(mechanism.unit); someone who is in k of them is not protected at epsilon"
    }

    /// What the data sets compared may differ in.
    public var adjacencyMeaning: String {
        switch mechanism.adjacency {
        case .addOrRemoveOne: "add or remove one unit"
        case .zeroOut: "N public; zero-out adjacency"
        }
    }

    /// What the guarantee presumes to be public already.
    public static let assumedPublic = "initial weights, frozen statistics and preprocessing"

    /// What the guarantee leaves out.
    public static let uncovered =
        "hyper-parameter search; diagnostics computed without noise (losses, norms, validation results)"
}
