import ONNXFormat
import TensorGraph

/// What a name of a model stands for while the model is expanded. Only tensors are computed; of sequences and optionals
/// it must be known what they hold.
indirect enum ModelValue {
    case tensor(ValueID)
    case sequence([ValueID])
    case optional(ModelValue?)

    var tensor: ValueID? { if case .tensor(let value) = self { value } else { nil } }
}

/// The names that can be read at one place of a model: a graph's own and those around it.
final class NameScope {
    private let outer: NameScope?
    private(set) var own: [String: ModelValue] = [:]
    private var types: [String: ONNXElementType] = [:]

    init(inside outer: NameScope? = nil) { self.outer = outer }

    subscript(name: String) -> ModelValue? {
        get { own[name] ?? outer?[name] }
        set { own[name] = newValue }
    }

    /// The type that a tensor has in the model, if it is known; the inputs of inner graphs tell none.
    func elementType(of name: String) -> ONNXElementType? {
        own[name] == nil ? outer?.elementType(of: name) : types[name]
    }

    func setElementType(_ type: ONNXElementType, of name: String) { types[name] = type }
}
