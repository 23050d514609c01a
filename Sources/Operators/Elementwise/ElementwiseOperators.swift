/// The operators that work element by element.
public enum ElementwiseOperators {
    public static let all: [any OperatorPlugin] =
        ArithmeticOperators.all + ActivationOperators.all + LogicOperators.all + ConversionOperators.all
}
