/// Why weights cannot be converted between a graph and a state_dict.
public struct ConversionError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String

    static let otherGraph = ConversionError(
        description: "the nodes of the two models differ; --original takes the file that the model was trained from")

    static func otherTensor(_ name: String) -> ConversionError {
        ConversionError(
            description:
                "tensor '\(name)' has no counterpart of its shape and type in the original; --original takes the "
                + "file that the model was trained from")
    }

    static func otherReference(_ name: String) -> ConversionError {
        ConversionError(
            description:
                "no tensor of the reference has the values of the model's, '\(name)' for one; the reference is "
                + "the state_dict that the original was exported from")
    }

    static func noName(_ file: String) -> ConversionError {
        ConversionError(
            description:
                "no tensor of \(file) bears a name of the model's; give a --reference, the state_dict that the "
                + "model was exported from")
    }

    static func otherShape(_ name: String, _ shape: [Int], _ expected: [Int]) -> ConversionError {
        ConversionError(description: "tensor '\(name)' has shape \(shape) where \(expected) is needed")
    }
}
