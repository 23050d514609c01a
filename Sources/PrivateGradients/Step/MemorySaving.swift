public import Kernels

/// Ways to compute a step in less memory, at the price of more operations.
public struct MemorySaving: Hashable, Sendable {
    /// Of a linear layer over a vocabulary and its loss as much is computed at once; nil to keep all logits.
    ///
    /// Clip factors are known only after the backward pass, so that logits are computed three times: for the loss, for
    /// gradient and norms, and for the contraction. Methods that instantiate gradients or go back twice keep the logits.
    public var headBlock: VocabularyHead.Block?

    /// Activations are computed anew as far as it takes for the step to need no more bytes than this, which is up to
    /// whoever plans the step; nil to keep all.
    public var activationLimit: Int?

    /// Logits of a large vocabulary in blocks.
    public static let headInBlocks = MemorySaving(headBlock: VocabularyHead.Block())

    public init(headBlock: VocabularyHead.Block? = nil, activationLimit: Int? = nil) {
        self.headBlock = headBlock
        self.activationLimit = activationLimit
    }
}

extension ClippingMode {
    /// Whether sums are contractions of what one backward pass has kept.
    var contractsTheBook: Bool {
        switch self {
        case .bookKeeping, .bookKeepingGhost, .nonPrivate: true
        case .ghost, .instantiate: false
        }
    }
}
